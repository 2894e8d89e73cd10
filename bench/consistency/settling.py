"""What the store holds in the end, asked through the service."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.frame.processes import BenchError

from .checker import Final as FinalState
from .client import Answer, Client
from .history import History

GIVE_UP_SECONDS: Final = 20.0
#: A change that nobody knows of is made by then, or never: no store operation takes longer.
QUIET_SECONDS: Final = 1.0


async def read_final(client: Client, history: History) -> FinalState:
    """Read every counter and entry of the history; raise BenchError when one gives no answer."""
    await asyncio.sleep(QUIET_SECONDS)
    counters, entries = {}, {}
    for name in history.tallies:
        answer = await _read(client, f"/v1/counters/{name}")
        if answer.status == 200:
            counters[name] = int(answer.json["value"])
    for key in history.entries:
        answer = await _read(client, f"/v1/kv/{key}")
        entries[key] = answer.body.decode("utf-8", "replace") if answer.status == 200 else None
    return FinalState(counters, entries)


async def _read(client: Client, path: str) -> Answer:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + GIVE_UP_SECONDS
    while loop.time() < give_up:
        told = await client.ask("GET", path)
        if told.answer is not None and told.answer.status in {200, 404}:
            return told.answer
        await asyncio.sleep(0.1)
    raise BenchError(f"{path} gives no answer after the fault")
