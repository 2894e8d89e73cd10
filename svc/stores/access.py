"""What operations on entries and counters share: deadlines, round trips, operation records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..domain.errors import IdempotencyMismatch
from ..domain.model import Operation, Ttl
from ..telemetry.loop_clock import loop_clock
from . import scripts
from .link import Command, Link
from .names import operation_name
from .redis_errors import checked
from .turns import Turns
from .wire import Reply, ReplyError


class RedisAccess:
    """Sends commands over a Link, each with a deadline."""

    def __init__(self, link: Link, *, timeout_seconds: float, operation_ttl_seconds: int) -> None:
        self.link = link
        self.clock = link.clock
        self._timeout = timeout_seconds
        self._operation_ttl_ms = operation_ttl_seconds * 1000
        self.turns = Turns()

    def deadline(self) -> float:
        """Return the deadline of an operation that starts now, in time of the LoopClock."""
        return loop_clock().now() + self._timeout

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
        """Send one command for each group of names that may share a command (Link.groups).

        ``command_of`` builds it from positions in ``names``. Return (positions, reply) pairs.

        While a Cluster moves a slot, it answers TRYAGAIN to a command whose keys are on two
        servers. Such a command is sent again, one key at a time.
        """
        groups = self.link.groups(names)
        replies = await self.execute(
            [command_of(g) for g in groups], deadline, repeatable=repeatable
        )
        answered = list(zip(groups, replies, strict=True))
        split = [
            group
            for group, reply in answered
            if len(group) > 1 and type(reply) is ReplyError and reply.code == "TRYAGAIN"
        ]
        if split:
            answered = [(group, reply) for group, reply in answered if group not in split]
            singles = [[i] for group in split for i in group]
            replies = await self.execute(
                [command_of(g) for g in singles], deadline, repeatable=repeatable
            )
            answered += zip(singles, replies, strict=True)
        return answered

    async def call(
        self,
        script: scripts.Script,
        name: bytes,
        more: Sequence[bytes],
        *arguments: Any,
        deadline: float | None = None,
    ) -> Any:
        """Run a script on the keys ``name`` and ``more``. Return its reply, or raise its error."""
        command = (script, 1 + len(more), name, *more, *arguments)
        (reply,) = await self.execute([command], deadline)
        return checked(reply, changing=True)

    def operation_keys(self, resource: str, operation: Operation | None) -> tuple[bytes, ...]:
        """Return the Redis key of the operation's record; () without an operation."""
        return () if operation is None else (operation_name(resource, operation.id),)

    def record_arguments(self, operation: Operation | None) -> tuple[bytes, int]:
        """Return the scripts' arguments for the operation's record: fingerprint, TTL in ms."""
        if operation is None:
            return b"", 0
        return operation.fingerprint, self._operation_ttl_ms


def ttl_argument(ttl: Ttl) -> bytes:
    """Return a script's TTL argument: milliseconds, ``keep``, or b"" for none."""
    if ttl == "keep":
        return b"keep"
    return b"" if ttl is None else b"%d000" % ttl


def idempotency_mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch("Idempotency-Key: it was used before with another payload")
