"""Ask Redis Sentinel for the address of the primary."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import hiredis

from .reasons import NoPrimary
from .wire import ReplyError, Target, connect, login_commands

#: The timeout of one Sentinel's answer, with the connection to it.
ANSWER_SECONDS: Final = 0.3


class Sentinels:
    """The Sentinels of one service, asked in turn until one answers; the last good one first."""

    def __init__(self, targets: Sequence[Target], service: str) -> None:
        self._service = service.encode()
        self._targets = list(targets)
        self._asking: asyncio.Task[tuple[str, int]] | None = None

    async def primary(self) -> tuple[str, int]:
        """Return the primary's host and port. Raises NoPrimary.

        Concurrent callers share a query.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            # Retrieve the exception even if every caller was cancelled.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> tuple[str, int]:
        for target in list(self._targets):
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    found = await self._ask_one(target)
            except (TimeoutError, OSError):
                continue
            if found is not None:
                self._targets.remove(target)
                self._targets.insert(0, target)
                return found
        raise NoPrimary("no Sentinel names a primary")

    async def _ask_one(self, target: Target) -> tuple[str, int] | None:
        # There is one query for each new connection to Redis, so keeping it open is of no use.
        wire = await connect(target)
        try:
            commands = [*login_commands(target), ("SENTINEL", "MASTERS")]
            packed = b"".join(map(hiredis.pack_command, commands))
            replies = await wire.round_trip(packed, len(commands))
        finally:
            wire.close()
        if any(isinstance(reply, ReplyError) for reply in replies):
            return None
        for words in replies[-1]:
            facts = dict(zip(words[::2], words[1::2], strict=True))
            flags = set(facts[b"flags"].split(b","))
            is_up = b"master" in flags and not flags & {b"s_down", b"o_down"}
            if facts[b"name"] == self._service and is_up:
                return facts[b"ip"].decode(), int(facts[b"port"])
        return None
