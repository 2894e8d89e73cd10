"""What a store tells of its round trips: how long, how shared, how long it waited to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from .metrics import Metrics

#: One operation that waits in a lane: what it is, who waits for it, since when.
Waiting = tuple[Any, asyncio.Future[Any], float]

#: Redis' own first words of a refusal that count under their names; a script may make up others.
KNOWN_REFUSALS: Final = frozenset(
    (
        *("ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "ERR", "EXECABORT", "LOADING", "MASTERDOWN"),
        *("MISCONF", "MOVED", "NOAUTH", "NOPERM", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY"),
        *("TRYAGAIN", "UNKILLABLE", "WRONGPASS", "WRONGTYPE"),
    )
)


class Spans(Protocol):
    """Draws the round trips that sampled requests share; see tracing.py."""

    def start_round_trip(
        self, lane: str, size: int, sharing: Sequence[Any]
    ) -> Callable[[], None] | None:
        """Draw the round trip that these spans share; return what ends it, if anything."""


class StoreMeter:
    """Observes for one store; ``waiting`` maps a sampled operation's future to its span."""

    def __init__(self, metrics: Metrics, spans: Spans | None = None) -> None:
        self._metrics = metrics
        self._spans = spans
        self.waiting: dict[asyncio.Future[Any], Any] = {}
        self.waits = metrics.waits
        self._round_trips = metrics.round_trips

    def lane(self, name: str) -> LaneMeter:
        return LaneMeter(self, name, self._metrics.shared[name,].observe)

    def observe_round_trip(self, name: str, error_type: str, seconds: float) -> None:
        self._round_trips[name, error_type].observe(seconds)

    def count_wait_timeout(self) -> None:
        self._metrics.wait_timeouts[()] += 1

    def start_round_trip(self, lane: str, batch: Sequence[Waiting]) -> Callable[[], None] | None:
        if not self.waiting or self._spans is None:
            return None
        sharing = [self.waiting[future] for _, future, _ in batch if future in self.waiting]
        return self._spans.start_round_trip(lane, len(batch), sharing) if sharing else None


class LaneMeter:
    """The part of it that one lane tells of its batches."""

    def __init__(self, meter: StoreMeter, name: str, observe: Callable[[float], None]) -> None:
        self._meter = meter
        self._name = name
        self._observe = observe

    def launch(self, batch: Sequence[Waiting]) -> Callable[[], None] | None:
        """Observe a batch that is about to travel; return what to call when it is back."""
        self._observe(len(batch))
        return self._meter.start_round_trip(self._name, batch)
