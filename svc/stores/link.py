"""Round trips to Redis with a deadline, and the truth about what was sent.

redis-py makes the connections and reads the replies; its own retries stay off, because it cannot
know which commands are safe to repeat. A command here ends in exactly one of three ways: a reply
(an error reply included), ``Unsent`` (surely not executed) or ``Lost`` (perhaps executed).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from .scripts import Script

#: One command: its words; a Script stands for EVALSHA of it.
Command = tuple[Any, ...]

#: The reply, or the exception that stands in its place.
Reply = Any


class Unsent(Exception):
    """The command was surely not executed."""


class Lost(Exception):
    """The command was sent, its answer never came."""


class Link(Protocol):
    """A way to one Redis, or to many that share the keys."""

    def groups(self, names: Sequence[bytes]) -> list[list[int]]:
        """Split positions in ``names`` into groups that one command may touch together."""

    async def execute(
        self, commands: Sequence[Command], *, deadline: float, repeatable: bool = False
    ) -> list[Reply]:
        """Send all at once, return a reply or an exception for each; never raises for a fault.

        ``deadline`` is loop time. ``repeatable`` commands are sent once more when the connection
        broke under them.
        """

    def primaries(self) -> Awaitable[Sequence[NodeLink]]:
        """Return the links to the servers that hold the keys between them."""

    async def close(self) -> None:
        """Close every connection."""


MAX_CONNECTIONS: Final = 64


def encode(command: Command) -> bytes:
    """Render the command in RESP."""
    head = command[0]
    if isinstance(head, Script):
        command = ("EVALSHA", head.sha, *command[1:])
    packed: bytes = hiredis.pack_command(command)
    return packed


def encode_eval(command: Command) -> bytes:
    """Render a script call with its source, which also puts it into the server's cache."""
    packed: bytes = hiredis.pack_command(("EVAL", command[0].source, *command[1:]))
    return packed


class NodeLink:
    """A bounded set of connections to one server, made by ``connect`` when needed."""

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]]) -> None:
        self._connect = connect
        self._free: list[AbstractConnection] = []
        self._permits = asyncio.Semaphore(MAX_CONNECTIONS)
        self._closed = False

    def groups(self, names: Sequence[bytes]) -> list[list[int]]:
        return [list(range(len(names)))]

    async def primaries(self) -> Sequence[NodeLink]:
        return [self]

    async def execute(
        self, commands: Sequence[Command], *, deadline: float, repeatable: bool = False
    ) -> list[Reply]:
        replies = await self._round_trip([encode(c) for c in commands], deadline)
        if repeatable and any(type(r) is Lost for r in replies):
            replies = await self._round_trip([encode(c) for c in commands], deadline)
        unknown = [i for i, r in enumerate(replies) if type(r) is NoScriptError]
        if unknown:
            packed = [encode_eval(commands[i]) for i in unknown]
            for i, reply in zip(unknown, await self._round_trip(packed, deadline), strict=True):
                replies[i] = reply
        return replies

    async def _round_trip(self, packed: list[bytes], deadline: float) -> list[Reply]:
        replies: list[Reply] = []
        connection: AbstractConnection | None = None
        sent = False
        try:
            async with asyncio.timeout_at(deadline), self._permits:
                try:
                    connection = await self._take()
                    sent = True
                    await connection.send_packed_command(packed, check_health=False)
                    for _ in packed:
                        try:
                            replies.append(await connection.read_response())
                        except ResponseError as refusal:
                            replies.append(refusal)
                    self._release(connection, replies)
                    connection = None
                finally:
                    if connection is not None:
                        await self._drop(connection)
        except (TimeoutError, RedisError, OSError, EOFError) as error:
            self._drop_idle()
            if sent and getattr(error, "status_code", None) is not None:
                # An answer (LOADING, NOAUTH, too many clients), though redis-py counts it among
                # the broken connections.
                replies.append(Unsent(str(error)))
            if not sent:
                return [Unsent(str(error) or type(error).__name__) for _ in packed]
            replies.extend(
                Lost(str(error) or "no answer in time") for _ in range(len(packed) - len(replies))
            )
        if len(replies) < len(packed):
            replies.extend(Lost("the connection ended") for _ in range(len(packed) - len(replies)))
        return replies

    async def _take(self) -> AbstractConnection:
        while self._free:
            connection = self._free.pop()
            # Readable before anything was asked: the server closed it, or it is out of step.
            if connection.is_connected and not await connection.can_read():
                return connection
            await self._drop(connection)
        return await self._connect()

    def _release(self, connection: AbstractConnection, replies: list[Reply]) -> None:
        if any(isinstance(r, ReadOnlyError) for r in replies):
            # The server is a replica now; only a new connection can find the primary.
            self._drop_idle()
            self._discard(connection)
        elif self._closed:
            self._discard(connection)
        else:
            self._free.append(connection)

    def _drop_idle(self) -> None:
        while self._free:
            self._discard(self._free.pop())

    def _discard(self, connection: AbstractConnection) -> None:
        task = asyncio.ensure_future(self._drop(connection))
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    @staticmethod
    async def _drop(connection: AbstractConnection) -> None:
        with contextlib.suppress(RedisError, OSError):
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        self._closed = True
        while self._free:
            await self._drop(self._free.pop())


_closing: Final[set[asyncio.Future[None]]] = set()
