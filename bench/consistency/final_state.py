"""Reads the final state of the store through the service, and checks a history against it."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.frame.errors import BenchError

from .checker import FinalState, Verdict, check
from .client import Answer, Client
from .history import History
from .linearizability import Undecided

TIMEOUT_SECONDS: Final = 20.0
#: By then every unknown change is applied or never will be: no store operation takes longer.
QUIET_SECONDS: Final = 1.0


async def check_against_store(client: Client, history: History) -> Verdict:
    """Read every counter and entry of the history, and check it.

    Raise BenchError if one cannot be read, or if the history cannot be checked.
    """
    await asyncio.sleep(QUIET_SECONDS)
    counters: dict[str, int] = {}
    entries: dict[str, str | None] = {}
    for name in history.counters:
        answer = await _read(client, f"/v1/counters/{name}")
        if answer.status == 200:
            counters[name] = int(answer.json["value"])
    for key in history.entries:
        answer = await _read(client, f"/v1/kv/{key}")
        entries[key] = answer.body.decode("utf-8", "replace") if answer.status == 200 else None
    try:
        return check(history, FinalState(counters, entries))
    except Undecided as error:
        raise BenchError(str(error)) from None


async def _read(client: Client, path: str) -> Answer:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TIMEOUT_SECONDS
    while loop.time() < deadline:
        reply = await client.send("GET", path)
        if reply.answer is not None and reply.answer.status in {200, 404}:
            return reply.answer
        await asyncio.sleep(0.1)
    raise BenchError(f"{path} cannot be read at the end")
