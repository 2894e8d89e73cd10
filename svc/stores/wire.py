"""One connection to a Redis server: sends commands in RESP and receives the replies in order.

Instead of redis-py, this uses hiredis, its parser, directly. A round trip by redis-py takes as long
as all other work for a request, and redis-py distinguishes an error reply from a broken connection
too late.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import hiredis

from ..telemetry.store_meter import KNOWN_REFUSAL
from .clock import ServerClock

Reply = Any

_MORE: Final = object()
#: Of a connection on which nothing arrives, in seconds: until the first probe, and between probes.
#: They also keep the flow known to a NAT on the way.
KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
#: Closing the connection resets it: nothing is sent any more, and nothing is sent again.
_RESET: Final = struct.pack("ii", 1, 0)


class ReplyError(Exception):
    """An error reply. ``code`` is its first word, for example READONLY or MOVED."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]

    @property
    def word(self) -> str:
        """The code, ERR or "refused", for metrics."""
        # Redis 6 puts an error that a script met inside an error message of its own.
        found = KNOWN_REFUSAL.search(str(self))
        return found[0] if found else "ERR" if self.code == "ERR" else "refused"


class WireBroken(ConnectionError):
    """The connection ended before all replies arrived. Its cause tells why, if that is known.

    The cause is a WireBroken if the server sent something else than replies to the commands.
    """


class ReplyTooLarge(Exception):
    """The replies were given up, and the connection with them: they are larger than allowed."""


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
    #: True if a replica will do. It answers with what it has, which may be old.
    any_role: bool = False


#: The most that reads of several values get: nobody knows their sizes before.
MOST_READ_BYTES: Final = 4 << 20
#: From this size on, what arrives at once is a part of a large reply.
LARGE_BYTES: Final = 65_536


class Wire(asyncio.Protocol):
    """A connection that carries one round trip at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader = _new_reader()
        #: True if the reader holds a large buffer.
        self._grown = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._missing = 0
        #: How many more bytes the replies may have.
        self._room = math.inf
        #: The replies received so far in the current round trip, or those of one that broke.
        self.replies: list[Reply] = []
        #: The server's clock, and when it was read last, in monotonic seconds.
        self.clock = ServerClock()
        self.checked_at = float("-inf")

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def round_trip(
        self, packed: Sequence[bytes], replies: int, most_bytes: float = math.inf
    ) -> list[Reply]:
        """Send the pieces and wait for ``replies`` replies. An error reply is a ReplyError.

        Raises ReplyTooLarge beyond ``most_bytes``, and WireBroken; ``self.replies`` then has the
        replies that arrived before. After a cancellation the connection is out of step and must be
        closed.
        """
        self.replies = []
        if self._transport is None:
            raise WireBroken("the server closed the connection")
        self._missing = replies
        self._room = most_bytes
        self._waiter = asyncio.get_running_loop().create_future()
        if len(packed) == 1:
            self._transport.write(packed[0])
        else:
            self._transport.writelines(packed)
        try:
            await self._waiter
        finally:
            self._waiter = None
        # An idle connection must not keep them: they may be large.
        received, self.replies = self.replies, []
        return received

    async def check(self, *commands: tuple[Any, ...]) -> None:
        """Send the commands, then ask for the server's role and time.

        Raises OSError; ReplyError if a reply is an error, or if the server is a replica.
        """
        packed = [hiredis.pack_command(each) for each in (*commands, *_CHECK)]
        *replies, info, now = await self.round_trip(packed, len(commands) + len(_CHECK))
        for reply in (*replies, now):
            if isinstance(reply, ReplyError):
                # Not the reply itself: a raised exception in a local variable makes a cycle.
                raise ReplyError(*reply.args)
        if not self._target.any_role and type(info) is bytes and b"role:slave" in info:
            raise ReplyError("READONLY the server is a replica")
        self.clock.observe(int(now[0]), int(now[1]))
        self.checked_at = time.monotonic()

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Give the connection to another protocol. Raises WireBroken."""
        transport, self._transport = self._transport, None
        if transport is None or transport.is_closing():
            raise WireBroken("the server closed the connection")
        transport.set_protocol(protocol)
        return transport

    def close(self) -> None:
        """Close at once. What the server has not received by now, it never receives."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        connection = transport.get_extra_info("socket")
        if self._target.path is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE.items():
                if hasattr(socket, option):  # not on every system
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def data_received(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0 and self._waiter is not None and not self._waiter.done():
            self.close()
            self._waiter.set_exception(ReplyTooLarge())
            return
        try:
            self._reader.feed(data)
            if len(data) >= LARGE_BYTES:
                self._grown = True
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
            if self._grown:  # Its buffer would stay as large as the largest reply.
                self._reader, self._grown = _new_reader(), False

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            broken = WireBroken("the server closed the connection")
            broken.__cause__ = exc
            self._waiter.set_exception(broken)


def most_bytes(commands: Sequence[tuple[Any, ...]]) -> float:
    """Return how large the replies may be. A single value may be as large as it is."""
    words = commands[0]
    return MOST_READ_BYTES if words[0] == "MGET" and len(commands) + len(words) > 3 else math.inf


def _new_reader() -> hiredis.Reader:
    return hiredis.Reader(protocolError=WireBroken, replyError=ReplyError, notEnoughData=_MORE)


#: INFO, because the users of existing stores may not call ROLE. TIME last: its reply must be fresh.
_CHECK: Final = (("INFO", "replication"), ("TIME",))


async def open_wire(target: Target) -> Wire:
    """Connect, log in, select the database, and check the server. Raises OSError, ReplyError."""
    wire = await connect(target)
    try:
        await wire.check(*login_commands(target))
    except BaseException:
        wire.close()
        raise
    return wire


async def connect(target: Target) -> Wire:
    """Connect, and send nothing yet. Raises OSError."""
    loop = asyncio.get_running_loop()
    if target.path is not None:
        _, wire = await loop.create_unix_connection(lambda: Wire(target), target.path)
    else:
        _, wire = await loop.create_connection(
            lambda: Wire(target), target.host, target.port, ssl=target.tls
        )
    return wire


def login_commands(target: Target) -> list[tuple[Any, ...]]:
    commands: list[tuple[Any, ...]] = []
    if target.password is not None:
        user = () if target.username is None else (target.username,)
        commands.append(("AUTH", *user, target.password))
    if target.db:
        commands.append(("SELECT", target.db))
    return commands
