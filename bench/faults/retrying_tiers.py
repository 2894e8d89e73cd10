"""Three tiers before the service, each of which tries everything three times.

Each waits between attempts as Envoy does by default: a random part of 25 ms, then of 75 ms, at most
250 ms (envoyproxy.io, x-envoy-max-retries). None of them heeds Retry-After, as in a storm.
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
MOST_BACKOFF_SECONDS: Final = 0.25


class Wire(asyncio.Protocol):
    """A connection for one exchange at a time, as cheap as Python can: it reads statuses only."""

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
    """The way to the service for those who ask it one thing."""

    port: int
    request: bytes
    #: Requests that arrived at the service, answered or not.
    attempts: int = 0
    _idle: list[Wire] = field(default_factory=list)
    _all: set[Wire] = field(default_factory=set)

    async def ask(self, tier: int = TIERS) -> bool:
        """Ask through as many tiers; 0 is the service itself. Tell whether it succeeded."""
        if not tier:
            return await self._attempt()
        for attempt in range(ATTEMPTS):
            if attempt:
                most = min(BACKOFF_SECONDS * (2**attempt - 1), MOST_BACKOFF_SECONDS)
                await asyncio.sleep(random.uniform(0, most))
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    if await self.ask(tier - 1):
                        return True
            except TimeoutError:
                continue
        return False

    async def _attempt(self) -> bool:
        wire = None
        while self._idle and (wire is None or not wire.is_open):
            wire = self._idle.pop()
        try:
            if wire is None or not wire.is_open:
                loop = asyncio.get_running_loop()
                _, wire = await loop.create_connection(Wire, "127.0.0.1", self.port)
                self._all.add(wire)
            self.attempts += 1
            status = await wire.exchange(self.request)
        except OSError:
            return False
        except BaseException:
            # Given up: the answer that may still come is nobody's.
            if wire is not None:
                wire.close()
                self._all.discard(wire)
            raise
        self._idle.append(wire)
        return status == 200

    def close(self) -> None:
        for wire in self._all:
            wire.close()
