"""What a store tells of its round trips: how long, how shared, how long it waited to begin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from .metrics import Metrics
from .store_spans import begin_round_trip
from .trace import DrawnSpan, RequestTrace

#: One operation that waits in a lane: what it is, who waits for it, since when.
Waiting = tuple[Any, asyncio.Future[Any], float]

#: Redis' own words for a refusal, that count under their names; a script may make up others.
KNOWN_REFUSALS: Final = frozenset(
    (
        *("ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "EXECABORT", "LOADING", "MASTERDOWN"),
        *("MISCONF", "MOVED", "NOAUTH", "NOPERM", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY"),
        *("TRYAGAIN", "UNKILLABLE", "WRONGPASS", "WRONGTYPE"),
    )
)
KNOWN_REFUSAL: Final = re.compile(rf"\b(?:{'|'.join(sorted(KNOWN_REFUSALS))})\b")


class StoreMeter:
    """Observes for one store; ``waiting`` has the spans of sampled operations in the lanes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.waiting: dict[asyncio.Future[Any], tuple[RequestTrace, DrawnSpan]] = {}
        self.waits = metrics.waits
        self._round_trips = metrics.round_trips

    def lane(self, name: str) -> LaneMeter:
        return LaneMeter(self, name, self._metrics.shared[name,].observe)

    def observe_round_trip(self, name: str, error_type: str, seconds: float) -> None:
        self._round_trips[name, error_type].observe(seconds)

    def count_wait_timeout(self) -> None:
        self._metrics.wait_timeouts[()] += 1

    def begin_round_trip(self, lane: str, batch: Sequence[Waiting]) -> DrawnSpan | None:
        if not self.waiting:
            return None
        sharing = [self.waiting[future] for _, future, _ in batch if future in self.waiting]
        return begin_round_trip(lane, len(batch), sharing) if sharing else None


class LaneMeter:
    """The part of it that one lane tells of its batches."""

    def __init__(self, meter: StoreMeter, name: str, observe: Callable[[float], None]) -> None:
        self._meter = meter
        self._name = name
        self._observe = observe

    def launch(self, batch: Sequence[Waiting]) -> DrawnSpan | None:
        """Observe a batch that is about to travel; return the span to end when it is back."""
        self._observe(len(batch))
        return self._meter.begin_round_trip(self._name, batch)
