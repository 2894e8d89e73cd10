"""Three tiers of callers before the service. Each makes up to three attempts.

The backoff is Envoy's default: a random time of up to 25 ms, then of up to 75 ms, at most 250 ms
(envoyproxy.io, x-envoy-max-retries). No tier obeys Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final, cast

TIERS: Final = 3
ATTEMPTS: Final = 3
ATTEMPT_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = 0.025
MAX_BACKOFF_SECONDS: Final = 0.25


class Connection(asyncio.Protocol):
    """A connection for one exchange at a time. It is cheap, because it reads the status alone."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._status = 0
        self._missing = 0
        self._head = b""

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._status = int(head[9:12])
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._missing = int(length) - len(rest)
            self._head = b""
        else:
            self._missing -= len(data)
        if self._missing <= 0 and self._answer is not None:
            status, self._status = self._status, 0
            answer, self._answer = self._answer, None
            if not answer.done():
                answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    async def exchange(self, request: bytes) -> int:
        """Return the status; raise OSError."""
        if self._transport is None:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@dataclass
class Tiers:
    """All tiers, for one kind of request."""

    port: int
    request: bytes
    #: Requests sent to the service.
    attempts: int = 0
    _idle: list[Connection] = field(default_factory=list)
    _all: set[Connection] = field(default_factory=set)

    async def send(self, tier: int = TIERS) -> bool:
        """Send a request through this many tiers; return True if it succeeded."""
        if not tier:
            return await self._attempt()
        for attempt in range(ATTEMPTS):
            if attempt:
                limit = min(BACKOFF_SECONDS * (2**attempt - 1), MAX_BACKOFF_SECONDS)
                await asyncio.sleep(random.uniform(0, limit))
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    if await self.send(tier - 1):
                        return True
            except TimeoutError:
                continue
        return False

    async def _attempt(self) -> bool:
        connection = None
        while self._idle and (connection is None or not connection.is_open):
            connection = self._idle.pop()
        try:
            if connection is None or not connection.is_open:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
                self._all.add(connection)
            self.attempts += 1
            status = await connection.exchange(self.request)
        except OSError:
            return False
        except BaseException:
            # A tier gave up. The late answer must not be taken for that to another request.
            if connection is not None:
                connection.close()
                self._all.discard(connection)
            raise
        self._idle.append(connection)
        return status == 200

    def close(self) -> None:
        for connection in self._all:
            connection.close()
