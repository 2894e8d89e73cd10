"""Waiting with a deadline, never for a fixed time.

The deadlines are long: one that is never reached costs nothing, and a busy machine may take a
process off the CPU for seconds.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

Seen = TypeVar("Seen")

#: For what happens at once on an idle machine.
PATIENT_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.02


async def eventually(
    look: Callable[[], Any], *, seconds: float = PATIENT_SECONDS, what: str = "it"
) -> Any:
    """Look (and await it, if it can be awaited) until what is seen is true; return it."""
    give_up = asyncio.get_running_loop().time() + seconds
    while True:
        seen = look()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        assert asyncio.get_running_loop().time() < give_up, f"{what} took too long: {seen!r}"
        await asyncio.sleep(POLL_SECONDS)


def until(look: Callable[[], Seen], *, seconds: float = PATIENT_SECONDS, what: str = "it") -> Seen:
    """As ``eventually``, where no loop runs."""
    give_up = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < give_up, f"{what} took too long: {seen!r}"
        time.sleep(POLL_SECONDS)
