"""An Envoy process on the loopback interface: started, its access log read, drained, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from ..envoy.configuration import Resource
from .child_process import Child
from .envoy_admin import EnvoyAdmin
from .errors import EnvoyAdminFailed
from .executables import find_envoy

START_SECONDS: Final = 60.0
#: How long requests in flight may take to complete, and then Envoy to end.
DRAIN_SECONDS: Final = 2.0
STOP_SECONDS: Final = 2.0
#: Envoy's own log, in the rehearsal's directory: warnings and errors.
LOG: Final = "envoy.log"
_POLL_SECONDS: Final = 0.01
#: How often Envoy flushes its access log.
FLUSH_SECONDS: Final = 0.05
#: As many as a small gateway has: the machine also runs the pods and the load generator.
_CONCURRENCY: Final = 2
#: Time, thread and source file of a log line, and the file whose content Envoy rejects.
_LOG_PREFIX: Final = re.compile(
    r"^(\[[^]]*\])+ (\[[^]]*\] )?(error initializing configuration '[^']*': )?"
)
_WHITESPACE: Final = re.compile(r"\s+")

#: Takes one line of the access log.
LineReader = Callable[[bytes], None]


@contextlib.asynccontextmanager
async def running_envoy(
    directory: Path, bootstrap: Resource, admin: EnvoyAdmin, read: LineReader
) -> AsyncIterator[None]:
    """Run an Envoy until the block ends; raise ProgramMissing or RehearsalFailed.

    The files that the bootstrap names must exist. ``read`` is called with each line of Envoy's
    stdout, to the last one.
    """
    file = directory / "bootstrap.json"
    file.write_text(json.dumps(bootstrap), encoding="utf-8")
    command = [
        *(find_envoy(), "--config-path", str(file)),
        # By default Envoy only warns of an unknown field in a watched file, and ignores it.
        "--reject-unknown-dynamic-fields",
        *("--use-dynamic-base-id", "--disable-hot-restart"),
        *("--concurrency", str(_CONCURRENCY)),
        *("--file-flush-interval-msec", f"{FLUSH_SECONDS * 1000:.0f}"),
        *("--log-level", "warning"),
    ]
    child = await Child.start("Envoy", command, directory / LOG, capture_stdout=True)
    reading = asyncio.create_task(_read_lines(child, read))
    try:
        await child.wait_ready(admin.is_ready, START_SECONDS)
        admin.process = child
        yield
        await _drain(admin)
    finally:
        await child.stop(STOP_SECONDS)
        await asyncio.gather(reading, return_exceptions=True)


def last_log_message(log: str) -> str:
    """Return the last message of Envoy's log without its prefix; empty if there is none."""
    lines = log.strip().splitlines()
    return _WHITESPACE.sub(" ", _LOG_PREFIX.sub("", lines[-1])) if lines else ""


async def _read_lines(child: Child, read: LineReader) -> None:
    async for line in child.stdout:
        read(line)


async def _drain(admin: EnvoyAdmin) -> None:
    # After SIGTERM Envoy ends within 0.1 s and cuts the requests in flight.
    with contextlib.suppress(EnvoyAdminFailed, TimeoutError):
        await admin.drain()
        async with asyncio.timeout(DRAIN_SECONDS):
            while await admin.sum_of(r"^cluster\..*\.upstream_rq_active$"):  # noqa: ASYNC110 - a statistic
                await asyncio.sleep(_POLL_SECONDS)
