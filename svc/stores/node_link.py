"""A pool of connections to one Redis server, and how commands are sent again on another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..telemetry.loop_clock import loop_clock
from ..telemetry.store_meter import StoreMeter
from .clock import ServerClock
from .failures import Failures
from .link import Command, Link, Lost, Unsent
from .packing import pack
from .reasons import reason_of, reason_of_reply
from .scripts import Script
from .wire import Reply, ReplyError, Wire, WireBroken, most_bytes

MAX_CONNECTIONS: Final = 64
#: How long a connection is used until its server's role and clock are checked again, in seconds.
CHECK_SECONDS: Final = 1.0
#: The types of data in replies: what is none of these may be a failure.
_DATA: Final = frozenset({bytes, int, type(None)})
#: Error replies to a script that did not run, and that runs if it is sent again another way.
NOSCRIPT: Final = "NOSCRIPT"
LATE: Final = "LATE"
#: How often a script is sent again: because of one of them, and then of the other.
MAX_RESENDS: Final = 2


def encode(command: Command, until_ms: int) -> list[bytes]:
    """Encode the command in RESP. A script runs only until ``until_ms`` by the server's clock."""
    head = command[0]
    if isinstance(head, Script):
        last = (until_ms,) if head.changes else ()
        command = (*head.words, *command[1:], *last)
    return pack(command)


def by_source(command: Command) -> Command:
    """Call a script with its source, which the server then knows."""
    if isinstance(command[0], Script):
        return (command[0].by_source(), *command[1:])
    return command


class NodeLink:
    """A pool of connections to one server, opened by ``connect`` on demand."""

    is_cluster = False

    def __init__(
        self,
        connect: Callable[[], Awaitable[Wire]],
        meter: StoreMeter | None = None,
        *,
        clock: ServerClock | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.clock = clock or ServerClock()
        self._failures = failures or Failures()
        self._connect = connect
        self._meter = meter
        self._used = 0
        self._free: list[Wire] = []
        self._permits = asyncio.Semaphore(MAX_CONNECTIONS)
        self._closed = False

    def groups(self, names: Sequence[bytes]) -> list[list[int]]:
        return [list(range(len(names)))]

    def server_of(self, name: bytes) -> Link:  # noqa: ARG002 - it has them all
        return self

    def layout(self) -> str:
        return ""

    async def primaries(self, deadline: float) -> Sequence[NodeLink]:  # noqa: ARG002
        return [self]

    async def refresh(self) -> None:
        return

    async def execute(
        self, commands: Sequence[Command], *, deadline: float, repeatable: bool = False
    ) -> list[Reply]:
        if self._meter is None:
            return await self._execute(commands, deadline, repeatable)
        started = time.perf_counter()
        replies = await self._execute(commands, deadline, repeatable)
        self._meter.observe_round_trip(
            _name_of(commands[0]), _error_of(replies), time.perf_counter() - started
        )
        return replies

    async def _execute(
        self, commands: Sequence[Command], deadline: float, repeatable: bool
    ) -> list[Reply]:
        replies = await self._round_trip(commands, deadline)
        if repeatable and any(type(reply) is Lost for reply in replies):
            replies = await self._round_trip(commands, deadline)
        for _ in range(MAX_RESENDS):
            refused = [
                (i, by_source(commands[i]) if reply.code == NOSCRIPT else commands[i])
                for i, reply in enumerate(replies)
                if type(reply) is ReplyError and reply.code in {NOSCRIPT, LATE}
            ]
            if not refused:
                break
            again = await self._round_trip([command for _, command in refused], deadline)
            for (i, _), reply in zip(refused, again, strict=True):
                replies[i] = reply
        return replies

    async def _round_trip(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        clock = loop_clock()
        if clock.now() >= deadline:
            return [Unsent("no time left") for _ in commands]
        wire: Wire | None = None
        asked = time.perf_counter()
        permitted = False
        try:
            async with clock.timeout_at(deadline), self._permits:
                permitted = True
                self._used += 1
                try:
                    wire = await self._take(deadline)
                    if self._meter is not None:
                        self._meter.connection_waits.observe(time.perf_counter() - asked)
                    until_ms = wire.clock.at(clock.loop_time(deadline))
                    packed = [piece for each in commands for piece in encode(each, until_ms)]
                    replies = await wire.round_trip(packed, len(commands), most_bytes(commands))
                finally:
                    self._used -= 1
        except (TimeoutError, OSError, ReplyError) as error:
            if not permitted and self._meter is not None:
                self._meter.count_wait_timeout()
            self._failures.observe(reason_of(error))
            self._drop_idle()
            reason = str(error) or "no answer in time"
            if wire is None:
                word = error.word if isinstance(error, ReplyError) else "unsent"
                return [Unsent(reason, word) for _ in commands]
            wire.close()
            received = wire.replies
            return [*received, *(Lost(reason) for _ in range(len(commands) - len(received)))]
        except BaseException:
            if wire is not None:
                wire.close()
            raise
        self._release(wire, replies)
        return replies

    async def _take(self, deadline: float) -> Wire:
        while self._free:
            wire = self._free.pop()
            if wire.is_open and (
                time.monotonic() - wire.checked_at < CHECK_SECONDS
                or await self._is_sound(wire, deadline)
            ):
                return wire
        try:
            return await self.open()
        except (WireBroken, ConnectionResetError):
            # An operator or a proxy closed it before it was used: nothing of a request was sent.
            return await self.open()

    async def _is_sound(self, wire: Wire, deadline: float) -> bool:
        """Check the connection. Close it, and the idle ones, if its server is not a primary.

        A NAT may have forgotten the connection. Half of the time is kept for a new one.
        """
        left = deadline - loop_clock().now()
        try:
            async with asyncio.timeout(left / 2):
                await wire.check()
        except (TimeoutError, OSError, ReplyError):
            wire.close()
            self._drop_idle()
            return False
        except BaseException:
            wire.close()
            raise
        self.clock.offset_ms = wire.clock.offset_ms
        return True

    def _release(self, wire: Wire, replies: list[Reply]) -> None:
        refused = "".join(map(_refusal_of, replies))
        if refused:
            self._failures.observe(reason_of_reply(refused))
        if "READONLY" in refused:
            # The server became a replica. Only a new connection can reach the new primary.
            self._drop_idle()
            wire.close()
        elif LATE in refused:
            # The server's clock was set forward. A check reads it before the script is sent again.
            for each in (wire, *self._free):
                each.checked_at = float("-inf")
            self._free.append(wire)
        elif "Protocol error" in refused or "max number of clients" in refused:
            wire.close()  # the server closes the connection too, after this reply
        elif self._closed:
            wire.close()
        else:
            self._free.append(wire)

    def _drop_idle(self) -> None:
        while self._free:
            self._free.pop().close()

    async def open(self) -> Wire:
        wire = await self._connect()
        self.clock.offset_ms = wire.clock.offset_ms
        if not wire.is_open:
            raise WireBroken("the server closed the connection at once")
        return wire

    def observe_failure(self, error: Exception) -> None:
        self._failures.observe(reason_of(error))

    def connections(self) -> tuple[int, int, int]:
        return len(self._free), self._used, MAX_CONNECTIONS

    async def close(self) -> None:
        self._closed = True
        self._drop_idle()


def _name_of(command: Command) -> str:
    head = command[0]
    return head.words[0] if isinstance(head, Script) else str(head)


def _error_of(replies: list[Reply]) -> str:
    """Return the first failure among the replies as a metric label; "" if there is none."""
    for reply in replies:
        # A script's reply is a list that may hold errors; MGET's is a list of bytes.
        parts = reply if type(reply) is list else (reply,)
        if _DATA.issuperset(map(type, parts)):
            continue
        for part in parts:
            if isinstance(part, ReplyError):
                return part.word
            if isinstance(part, Unsent):
                return part.word
            if isinstance(part, Lost):
                return "lost"
    return ""


def _refusal_of(reply: Reply) -> str:
    if type(reply) is list and reply:  # a script's replies: an error of the server is in each
        reply = reply[0]
    return str(reply) if type(reply) is ReplyError else ""
