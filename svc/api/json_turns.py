"""Parse large JSON documents one at a time, in steps between which other requests are served.

A thread would not help: the parsers hold the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from time import perf_counter
from typing import Final, TypeVar

from aiohttp import web

from .strict_json import check_steps

#: Documents of at most this size take a few milliseconds, and are parsed at once.
LARGE_JSON_BYTES: Final = 65_536
#: How long steps follow each other without a pause, unless a single one takes longer.
STEP_SECONDS: Final = 0.005

Result = TypeVar("Result")


class JsonTurns:
    """The turns of large documents. While one is parsed, the next ones wait."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, size: int, steps: Generator[None, None, Result]) -> Result:
        """Run all steps of reading a document of ``size`` bytes. Return their result.

        After each step of a large document, the next one of any waits for as long as it took. So
        half of the time is left for other requests.
        """
        if size <= LARGE_JSON_BYTES:
            return _finish(steps)
        await self._turn.acquire()
        took = 0.0
        try:
            while True:
                began = perf_counter()
                try:
                    _run_for(STEP_SECONDS, steps)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                finally:
                    took = perf_counter() - began
                # Not 0: another request needs several turns of the loop.
                await asyncio.sleep(took)
        finally:
            asyncio.get_running_loop().call_later(took, self._turn.release)


JSON_TURNS: Final = web.AppKey("json_turns", JsonTurns)


async def check_json_in_turn(request: web.Request, raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid unless the document is strict JSON, as check_json does."""
    await request.app[JSON_TURNS].run(len(raw), check_steps(raw, what))


def _finish(steps: Generator[None, None, Result]) -> Result:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result


def _run_for(seconds: float, steps: Generator[None, None, Result]) -> None:
    """Run steps until the time is over. Raise StopIteration at their end.

    The collector pauses: it would look at each of the new objects, which are no garbage yet.
    """
    until = perf_counter() + seconds
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        next(steps)
        while perf_counter() < until:
            next(steps)
    finally:
        if was_enabled:
            gc.enable()
