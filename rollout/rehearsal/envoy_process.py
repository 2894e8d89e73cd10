"""A real Envoy on loopback, whose access log we read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from ..envoy.configuration import Resource
from .child_process import Child
from .envoy_admin import EnvoyAdmin, EnvoySilent
from .programs import RehearsalFailed, find_envoy

START_SECONDS: Final = 15.0
#: How long requests under way may take to end, then Envoy itself.
DRAIN_SECONDS: Final = 2.0
STOP_SECONDS: Final = 2.0
#: In the rehearsal's directory; warnings and worse.
LOG: Final = "envoy.log"
_POLL_SECONDS: Final = 0.01
#: How late a line of the access log may be.
FLUSH_SECONDS: Final = 0.05
#: As a small gateway has it; the machine is shared with the releases and their clients.
_WORKERS: Final = 2

#: Takes a line of the access log.
Reader = Callable[[bytes], None]


@contextlib.asynccontextmanager
async def running_envoy(
    directory: Path, bootstrap: Resource, admin: EnvoyAdmin, read: Reader
) -> AsyncIterator[Child]:
    """Run an Envoy until the block ends; raise ProgramMissing or RehearsalFailed.

    The files that the bootstrap refers to have to exist. ``read`` is called with each line of
    stdout; at the end, once more with what was still to come.
    """
    boot = directory / "bootstrap.json"
    boot.write_text(json.dumps(bootstrap), encoding="utf-8")
    command = [
        *(find_envoy(), "--config-path", str(boot)),
        # Without it a misspelt field of a watched file is a warning, and does nothing.
        "--reject-unknown-dynamic-fields",
        *("--use-dynamic-base-id", "--disable-hot-restart"),
        *("--concurrency", str(_WORKERS)),
        *("--file-flush-interval-msec", f"{FLUSH_SECONDS * 1000:.0f}"),
        *("--log-level", "warning"),
    ]
    child = await Child.start("envoy", command, directory / LOG, piped=True)
    reading = asyncio.create_task(_read(child, read))
    try:
        await _wait_ready(child, admin)
        yield child
        await _drain(admin)
    finally:
        await child.stop(STOP_SECONDS)
        await asyncio.gather(reading, return_exceptions=True)


async def _read(child: Child, read: Reader) -> None:
    async for line in child.output:
        read(line)


async def _wait_ready(child: Child, admin: EnvoyAdmin) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await admin.is_ready():
                if child.exit_code is not None:
                    raise RehearsalFailed(f"Envoy ended at once: {child.said()}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise RehearsalFailed(
            f"Envoy is not ready after {START_SECONDS:g} s: {child.said()}"
        ) from None


async def _drain(admin: EnvoyAdmin) -> None:
    # SIGTERM ends it within 0.1 s, whatever is under way.
    with contextlib.suppress(EnvoySilent, TimeoutError):
        await admin.drain()
        async with asyncio.timeout(DRAIN_SECONDS):
            await _wait_idle(admin)


async def _wait_idle(admin: EnvoyAdmin) -> None:
    while True:
        if not await admin.sum_of(r"^cluster\..*\.upstream_rq_active$"):
            return
        await asyncio.sleep(_POLL_SECONDS)
