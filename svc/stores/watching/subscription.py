"""One connection on which a Redis server tells the names of what changes.

It is client-side caching's broadcast (CLIENT TRACKING, https://redis.io/docs/latest/develop/reference/client-side-caching/):
the server names whatever any client changed, what expired and what was evicted, without values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis

from ..link import ServerLink
from ..wire import ReplyError, WireBroken

#: How often the server is asked whether it still is the primary, and after how many questions
#: without an answer the connection counts as broken.
ASK_SECONDS: Final = 0.25
UNANSWERED: Final = 3

_MORE: Final = object()


def _packed(*words: str) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return packed


_SETUP: Final = b"".join(
    (
        _packed("HELLO", "3"),
        _packed("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "kv:{", "PREFIX", "ct:{"),
        # Nothing is published there. Redis closes a subscriber that does not read at 32 MiB
        # (client-output-buffer-limit); what waits for other clients has no limit. A user that may
        # not subscribe does without.
        _packed("SUBSCRIBE", "__redis__:invalidate"),
    )
)
_ASK: Final = _packed("INFO", "replication")
#: The replies to HELLO and CLIENT TRACKING.
_SETUP_REPLIES: Final = 2

#: Takes the names that changed; None: any may have, because all were deleted.
Changed = Callable[[Sequence[bytes] | None], None]


class Subscription(asyncio.Protocol):
    """Calls ``changed`` until it ends."""

    def __init__(self, changed: Changed) -> None:
        loop = asyncio.get_running_loop()
        self._changed = changed
        self._loop = loop
        self._reader = hiredis.Reader(
            protocolError=WireBroken, replyError=ReplyError, notEnoughData=_MORE
        )
        self._transport: asyncio.Transport | None = None
        self._replies = 0
        self._unanswered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._begun: asyncio.Future[None] = loop.create_future()
        #: Done once nothing more will be told.
        self.ended: asyncio.Future[None] = loop.create_future()

    async def open(self, node: ServerLink) -> None:
        """Connect and subscribe: what changes after this is told. Raises OSError, ReplyError."""
        wire = await node.open()
        self._transport = wire.hand_over(self)
        self._transport.write(_SETUP)
        await self._begun
        self._ask()

    def close(self) -> None:
        """End it. It may be called again."""
        self._end(WireBroken("the subscription was closed"))

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            names: list[bytes] = []
            while (reply := self._reader.gets()) is not _MORE:
                if type(reply) is not hiredis.PushNotification:
                    self._take_reply(reply)
                elif reply[0] == b"invalidate":
                    if reply[1] is None:
                        self._changed(None)
                    else:
                        names += reply[1]
        except WireBroken as error:
            self._end(error)
            return
        if names:
            self._changed(names)

    def connection_lost(self, exc: Exception | None) -> None:
        broken = WireBroken("the server closed the connection")
        broken.__cause__ = exc
        self._end(broken)

    def _take_reply(self, reply: Any) -> None:
        self._replies += 1
        if self._replies <= _SETUP_REPLIES:
            if isinstance(reply, ReplyError):
                self._end(ReplyError(*reply.args))
            elif self._replies == _SETUP_REPLIES and not self._begun.done():
                self._begun.set_result(None)
            return
        self._unanswered = 0
        if isinstance(reply, ReplyError):  # to SUBSCRIBE, or the server loads its data
            return
        text = reply if isinstance(reply, bytes) else str(reply).encode()
        if b"role:slave" in text:
            self._end(ReplyError("READONLY the server is a replica"))

    def _ask(self) -> None:
        if self._transport is None:
            return
        # The event loop reads what has arrived between two calls: a busy loop breaks nothing.
        if self._unanswered >= UNANSWERED:
            self._end(WireBroken("the server does not answer"))
            return
        self._unanswered += 1
        self._transport.write(_ASK)
        self._timer = self._loop.call_later(ASK_SECONDS, self._ask)

    def _end(self, error: Exception) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        if not self._begun.done():
            self._begun.set_exception(error)
            self._begun.exception()  # retrieved, even if nobody waits any more
        if not self.ended.done():
            self.ended.set_result(None)
