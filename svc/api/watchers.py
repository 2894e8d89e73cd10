"""All watches of this process: how many there may be, and how they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Protocol

from aiohttp import web

from ..domain.errors import TooManyWatchers
from ..telemetry.metrics import Metrics
from .budget import ByteBudget
from .context import Lifecycle

#: The part of the drain in which watchers are sent elsewhere. Before it, the pod is still among
#: those that Kubernetes and Envoy know: whoever came back at once could reach it again.
DRAIN_FROM: Final = 0.4
DRAIN_TO: Final = 0.8


class Ending(Protocol):
    """A watch, as far as its end is concerned."""

    #: Why it has ended; "" before.
    ended: str

    def end(self, reason: str) -> None:
        """End it."""


class Watchers:
    """Counts watches by caller, and ends them when the process drains."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        budget: ByteBudget,
        metrics: Metrics,
        *,
        max_watchers: int,
        max_per_token: int,
        max_bytes: int,
    ) -> None:
        self.budget = budget
        self.metrics = metrics
        self.max_bytes = max_bytes
        self._lifecycle = lifecycle
        self._max_watchers = max_watchers
        self._max_per_token = max_per_token
        self._open: dict[Ending, str] = {}
        self._by_caller: Counter[str] = Counter()
        #: When watches are to have ended, in loop time; None: no drain has begun.
        self._drained_at: float | None = None
        metrics.watch_watchers(lambda: self.count)

    @property
    def count(self) -> int:
        """Return the number of watches under way."""
        return len(self._open)

    def add(self, watch: Ending, caller: str) -> None:
        """Count a watch of the token with this id; "" without one. Raises TooManyWatchers."""
        if len(self._open) >= self._max_watchers:
            self.metrics.rejected["too_many_watchers",] += 1
            raise TooManyWatchers("this process has as many watchers as it may; try another")
        if caller and self._by_caller[caller] >= self._max_per_token:
            self.metrics.rejected["too_many_watchers",] += 1
            raise TooManyWatchers("this token has as many watchers here as it may")
        self._open[watch] = caller
        self._by_caller[caller] += 1
        self._lifecycle.watching += 1
        if self._drained_at is not None:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._drained_at), watch.end, "draining")

    def remove(self, watch: Ending, reason: str) -> None:
        """Count its end."""
        caller = self._open.pop(watch)
        self._by_caller[caller] -= 1
        if not self._by_caller[caller]:
            del self._by_caller[caller]
        self._lifecycle.watching -= 1
        self.metrics.watches_ended[reason,] += 1

    def drain(self, seconds: float) -> None:
        """End all watches within the drain, one after the other."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._drained_at = now + seconds * DRAIN_TO
        for i, watch in enumerate(tuple(self._open)):
            share = DRAIN_FROM + (DRAIN_TO - DRAIN_FROM) * i / len(self._open)
            loop.call_at(now + seconds * share, watch.end, "draining")

    async def shut(self, _: web.Application) -> None:
        """End those that are left."""
        for watch in tuple(self._open):
            watch.end("draining")


WATCHERS: Final = web.AppKey("watchers", Watchers)
