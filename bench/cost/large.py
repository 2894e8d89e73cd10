"""Values of 1 MiB, beside an aiohttp server that keeps them in its own memory.

That server is the most that aiohttp can move: it receives and sends the same bytes, and does
nothing else. tallykv has to send them to Redis too, or to get them from there. The floor shows what
that takes at least: a server that does nothing but pass the bytes on. aiohttp with redis-py is
shown without a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.processes import running_all
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.http_client import exchange
from bench.testbed.operations import OCTETS, Operation, render_request
from bench.testbed.servers import running_stack
from bench.testbed.turns import Turns
from bench.testbed.wrk import Load

from . import limits
from .peers.commands import AIOHTTP, FLOOR, LARGE_FLOOR, MEMORY
from .run_sizes import Sizes

#: Without NUL, which separates requests for wrk.
VALUE: Final = b"abcdefghijklmnop" * 65_536
NAMES: Final = [f"large-{number}" for number in range(16)]
#: With more connections, large values would wait behind each other.
CONNECTIONS: Final = 8
ALONE: Final = "aiohttp alone"
TWIN: Final = "aiohttp alone, again"
OURS: Final = "tallykv"
WITH_REDIS: Final = "aiohttp and redis-py"


def measure_large(run: Run[Sizes]) -> Iterator[Row]:
    """Measure GET and PUT of 1 MiB beside aiohttp alone."""
    load = Load(run.directory, run.load_cores)
    methods = {method: Turns((ALONE, TWIN), CONNECTIONS) for method in ("GET", "PUT")}
    for number in range(1, run.sizes.rounds + 1):
        with running_stack(run.server_cores, run.load_cores) as stack:
            started = {
                name: peer.server(stack.redis, run.server_cores, run.directory)
                for name, peer in (
                    (ALONE, MEMORY),
                    (TWIN, MEMORY),
                    (FLOOR, LARGE_FLOOR),
                    (WITH_REDIS, AIOHTTP),
                )
            }
            with running_all(list(started.values())):
                servers = {OURS: stack.tallykv, **started}
                for name, server in servers.items():
                    for request in _operation("PUT", name).requests:
                        status, body = exchange(server.port, request)
                        if not 200 <= status < 300:
                            raise BenchError(f"{name} refused a value: {body[:300]!r}")
                for method, turns in methods.items():
                    subjects = {
                        name: (server, load.prepare(server, _operation(method, name)))
                        for name, server in servers.items()
                    }
                    turns.take(load, subjects)
                    ratio = turns.ratios_by_round(ALONE, OURS)[-1]
                    say(f"round {number} of {run.sizes.rounds}: {method}, 1 MiB: {ratio:.2f}")
    for method, turns in methods.items():
        for name, limit in ((ALONE, limits.LARGE_RATIO), (FLOOR, None), (WITH_REDIS, None)):
            title = f"{method}, 1 MiB: {name} ÷ tallykv"
            yield turns.ratio_row(title, name, OURS, limit)
        yield turns.ratio_row(f"{method}, 1 MiB: {ALONE} ÷ floor", ALONE, FLOOR, None)
        yield turns.noise_row(f"{method}, 1 MiB, {ALONE}")


def _operation(method: str, server: str) -> Operation:
    paths = [f"{'/v1/kv' if server == OURS else '/kv'}/{name}" for name in NAMES]
    if method == "GET":
        requests = tuple(render_request("GET", path) for path in paths)
        return Operation("get-large", "GET, 1 MiB", requests, VALUE.__eq__)
    requests = tuple(render_request("PUT", path, VALUE, OCTETS) for path in paths)
    return Operation("put-large", "PUT, 1 MiB", requests, lambda _: True)
