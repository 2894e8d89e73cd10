"""Ask a cluster that starts, or that was away, until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..runner.ports import ManagedByOther, TargetFailed
from ..runner.state_store import StateCorrupt, StateFailed, StateHeld, StateUnknown

Answer = TypeVar("Answer")

#: In its first seconds a server also refuses what it grants; longer than that is lasting.
PATIENCE_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 1.0
_FINAL: Final = (ManagedByOther, StateCorrupt, StateHeld, StateUnknown)


async def ask_patiently(
    ask: Callable[[], Awaitable[Answer]],
    say: Callable[[str], None],
    seconds: float = PATIENCE_SECONDS,
) -> Answer:
    """Repeat a request that fails for a reason that may pass; ``say`` each new reason.

    Raise the last TargetFailed or StateFailed after ``seconds``, and a final one at once.
    """
    clock = asyncio.get_running_loop().time
    began, said = clock(), ""
    while True:
        try:
            return await ask()
        except (TargetFailed, StateFailed) as error:
            if isinstance(error, _FINAL) or clock() - began > seconds:
                raise
            if str(error) != said:
                said = str(error)
                say(f"{said}; asking again")
            await asyncio.sleep(_PAUSE_SECONDS)
