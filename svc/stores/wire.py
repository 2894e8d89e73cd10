"""One connection to a Redis server: sends commands in RESP and receives the replies in order.

Instead of redis-py, this uses hiredis, its parser, directly. A round trip by redis-py takes as long
as all other work for a request, and redis-py distinguishes an error reply from a broken connection
too late.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final, cast

import hiredis

Reply = Any

_MORE: Final = object()


class ReplyError(Exception):
    """An error reply. ``code`` is its first word, for example READONLY or MOVED."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


class WireBroken(ConnectionError):
    """The connection ended before all replies arrived. Its cause tells why, if that is known.

    The cause is a WireBroken if the server sent something else than replies to the commands.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server's address and credentials. ``path``, of a unix socket, replaces host and port."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


class Wire(asyncio.Protocol):
    """A connection that carries one round trip at a time."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(
            protocolError=WireBroken, replyError=ReplyError, notEnoughData=_MORE
        )
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._missing = 0
        #: The replies received so far in the current round trip, or those of the last one.
        self.replies: list[Reply] = []

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def round_trip(self, packed: bytes, replies: int) -> list[Reply]:
        """Send ``packed`` and wait for ``replies`` replies. An error reply is a ReplyError.

        Raises WireBroken; ``self.replies`` then has the replies that arrived before. After a
        cancellation the connection is out of step and must be closed.
        """
        self.replies = []
        if self._transport is None:
            raise WireBroken("the server closed the connection")
        self._missing = replies
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(packed)
        try:
            await self._waiter
        finally:
            self._waiter = None
        return self.replies

    def close(self) -> None:
        """Close at once, without sending what is still buffered."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while self._missing:
                reply = self._reader.gets()
                if reply is _MORE:
                    return
                self.replies.append(reply)
                self._missing -= 1
            in_step = not self._reader.has_data()
        except WireBroken:
            in_step = False
        if not in_step or self._waiter is None:
            # A reply without a command: from here on replies and commands would not match.
            self.connection_lost(WireBroken("the server sent a reply without a command"))
        elif not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            broken = WireBroken("the server closed the connection")
            broken.__cause__ = exc
            self._waiter.set_exception(broken)


async def open_wire(target: Target) -> Wire:
    """Connect, authenticate and select the database. Raises OSError, ReplyError."""
    loop = asyncio.get_running_loop()
    wire: Wire
    if target.path is not None:
        _, wire = await loop.create_unix_connection(Wire, target.path)
    else:
        _, wire = await loop.create_connection(Wire, target.host, target.port, ssl=target.tls)
    try:
        await _log_in(wire, target)
    except BaseException:
        wire.close()
        raise
    return wire


async def _log_in(wire: Wire, target: Target) -> None:
    commands: list[tuple[Any, ...]] = []
    if target.password is not None:
        user = () if target.username is None else (target.username,)
        commands.append(("AUTH", *user, target.password))
    if target.db:
        commands.append(("SELECT", target.db))
    if commands:
        packed = b"".join(hiredis.pack_command(command) for command in commands)
        for reply in await wire.round_trip(packed, len(commands)):
            if isinstance(reply, ReplyError):
                # Not the reply itself: a raised exception in a local variable makes a cycle.
                raise ReplyError(*reply.args)
