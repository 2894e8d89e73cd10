"""Memory of connections and of watchers that do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.frame.processes import running
from bench.frame.program import Run
from bench.frame.rows import Row, at_most
from bench.testbed.crowd import Crowd, allow_open_files
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Redis, Service

from . import limits
from .points import Sizes

#: Each connection has had one answer: such as a pool of a client keeps, or a watch has.
KINDS: Final = {
    "connection": ("/v1/kv/key-1", b"HTTP/1.1 200 "),
    "watcher": ("/v1/kv/key-1", b"event: synced"),
}


def measure_idle(run: Run[Sizes]) -> Iterator[Row]:
    """Measure the resident memory that idle connections add, then that of idle watchers."""
    count = run.sizes.idle
    allow_open_files(count + 500)
    settings = {
        **PATIENT,
        "KV_MAX_WATCHERS": str(count),
        "KV_MAX_CONNECTIONS": str(count + 100),
        "KV_KEEPALIVE_SECONDS": "3600",
    }
    for kind, (path, mark) in KINDS.items():
        with (
            running(Redis(cores=run.load_cores)) as server,
            running(Service(server.url, settings, run.server_cores)) as service,
        ):
            preload_tallykv(service.port)
            accept = "text/event-stream" if kind == "watcher" else "*/*"
            before = service.resident_mib()
            with Crowd(service.port, [path] * count, mark, accept):
                added = service.resident_mib() - before
        limit = at_most(limits.IDLE_KIB * count / 1024) if kind == "connection" else None
        note = f"{added / count * 1024:.1f} KiB each; {before:.1f} MiB without"
        yield Row(f"{count:,} idle {kind}s", added, "MiB", limit, note)
