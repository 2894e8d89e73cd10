"""What the operations on entries and on counters share: deadlines, round trips, records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from ..domain.errors import IdempotencyMismatch
from ..domain.model import Operation, Ttl
from . import scripts
from .clock import ServerClock
from .link import Command, Link
from .names import operation_name
from .refusals import checked
from .wire import Reply, ReplyError


class RedisAccess:
    """Works over any Link: one server, Sentinel's primary, or a Cluster."""

    def __init__(self, link: Link, *, timeout_seconds: float, operation_ttl_seconds: int) -> None:
        self.link = link
        self.clock = ServerClock()
        self._timeout = timeout_seconds
        self._operation_ttl_ms = operation_ttl_seconds * 1000

    def deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def execute(
        self,
        commands: Sequence[Command],
        deadline: float | None = None,
        *,
        repeatable: bool = False,
    ) -> list[Reply]:
        return await self.link.execute(
            commands,
            deadline=self.deadline() if deadline is None else deadline,
            repeatable=repeatable,
        )

    async def execute_groups(
        self,
        names: Sequence[bytes],
        command_of: Callable[[list[int]], Command],
        deadline: float | None,
        *,
        repeatable: bool = False,
    ) -> list[tuple[list[int], Reply]]:
        """Send one command for each group of names that may travel together.

        While a Cluster moves a slot, it refuses commands whose keys are partly there and partly
        here: those are sent again, a key at a time.
        """
        groups = self.link.groups(names)
        replies = await self.execute(
            [command_of(g) for g in groups], deadline, repeatable=repeatable
        )
        answered = list(zip(groups, replies, strict=True))
        torn = [
            group
            for group, reply in answered
            if len(group) > 1 and type(reply) is ReplyError and reply.code == "TRYAGAIN"
        ]
        if torn:
            answered = [(group, reply) for group, reply in answered if group not in torn]
            singles = [[i] for group in torn for i in group]
            replies = await self.execute(
                [command_of(g) for g in singles], deadline, repeatable=repeatable
            )
            answered += zip(singles, replies, strict=True)
        return answered

    async def call(
        self, script: scripts.Script, name: bytes, more: Sequence[bytes], *arguments: Any
    ) -> Any:
        command = (script, 1 + len(more), name, *more, *arguments)
        (reply,) = await self.execute([command])
        return checked(reply, changing=True)

    def operation_keys(self, resource: str, operation: Operation | None) -> tuple[bytes, ...]:
        return () if operation is None else (operation_name(resource, operation.id),)

    def record_of(self, operation: Operation | None) -> tuple[bytes, int]:
        if operation is None:
            return b"", 0
        return operation.fingerprint, self._operation_ttl_ms


def milliseconds(ttl: Ttl) -> bytes:
    if ttl == "keep":
        return b"keep"
    return b"" if ttl is None else b"%d000" % ttl


def reused() -> IdempotencyMismatch:
    return IdempotencyMismatch("Idempotency-Key: it was used before with another payload")
