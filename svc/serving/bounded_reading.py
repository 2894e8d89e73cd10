"""Bound what a connection keeps of what its client sends, and how fast it reads what is dropped."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from ..api.budget import SMALL_BYTES, ByteBudget
from .reading import RequestReader

#: How fast to read what is dropped. Reading takes time from other clients' requests.
DROPPED_BYTES_PER_SECOND: Final = 8 << 20


class BoundedReader(RequestReader):
    """A RequestReader that takes what waits from the byte budget."""

    def __init__(self, server: web.Server, *, budget: ByteBudget, **options: Any) -> None:
        super().__init__(server, **options)
        self.budget = budget
        # aiohttp forgets its own reference before everything is sent.
        self._client: asyncio.Transport | None = None
        self._slowed: asyncio.TimerHandle | None = None
        #: True from a pause on, until the parser goes on.
        self._parser_waits = False
        #: What the bytes that wait behind a request took from the budget.
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        # A body knows its connection. The cycle would keep what it holds until a rare collection.
        self._body = self._unwanted = None
        self._messages.clear()
        self.keep_unread(0)

    def abort(self) -> None:
        """Close at once, without sending what is still buffered."""
        if self._client is not None:
            self._client.abort()

    def count_large(self, size: int) -> None:
        self.budget.count_passed(size)

    def keep_unread(self, size: int) -> None:
        self.budget.release(self._held)
        self._held = 0
        if size > SMALL_BYTES:
            if self.budget.held + size > self.budget.limit:
                self.abort()
            else:
                self.budget.hold(size)
                self._held = size

    def slow_down(self, size: int) -> None:
        client = self._client
        if client is not None and not client.is_closing():
            client.pause_reading()
            self._slowed = self._loop.call_later(size / DROPPED_BYTES_PER_SECOND, self._read_on)

    def pause_reading(self) -> None:
        self._parser_waits = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on, as aiohttp's streams ask for, but not before the pause of slow_down is over."""
        if not self._parser_waits:
            return  # they ask after each read, and at each end of a body
        if resume_parser:
            self._parser_waits = False
        super().resume_reading(resume_parser)
        if self._slowed is not None and self._client is not None:
            self._client.pause_reading()

    def _read_on(self) -> None:
        self._slowed = None
        client = self._client
        if client is not None and not client.is_closing() and not self._reading_paused:
            client.resume_reading()
