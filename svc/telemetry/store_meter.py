"""Observe a store's round trips: duration, size of the batch, and wait for a connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from .metrics import Metrics
from .store_spans import begin_round_trip
from .trace import RequestTrace, SpanRecord

#: One operation in a batcher: the item, its caller's future, and the loop time of the call.
Waiting = tuple[Any, asyncio.Future[Any], float]

#: Redis error codes that appear as ``error_type`` in metrics. Any other would be unbounded.
KNOWN_REFUSALS: Final = frozenset(
    (
        *("ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "EXECABORT", "LOADING", "MASTERDOWN"),
        *("MISCONF", "MOVED", "NOAUTH", "NOPERM", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY"),
        *("TRYAGAIN", "UNKILLABLE", "WRONGPASS", "WRONGTYPE"),
    )
)
KNOWN_REFUSAL: Final = re.compile(rf"\b(?:{'|'.join(sorted(KNOWN_REFUSALS))})\b")


class StoreMeter:
    """Observes the round trips of one store."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        #: By future: the trace and span of each sampled operation that waits in a batcher.
        self.waiting: dict[asyncio.Future[Any], tuple[RequestTrace, SpanRecord]] = {}
        self.connection_waits = metrics.connection_waits
        self.failures = metrics.store_failures
        self._round_trips = metrics.round_trips

    def batcher(self, name: str) -> BatcherMeter:
        return BatcherMeter(self, name, self._metrics.coalesced_operations[name,].observe)

    def observe_round_trip(self, name: str, error_type: str, seconds: float) -> None:
        self._round_trips[name, error_type].observe(seconds)

    def count_wait_timeout(self) -> None:
        self._metrics.connection_wait_timeouts[()] += 1

    def begin_round_trip(self, batcher: str, batch: Sequence[Waiting]) -> SpanRecord | None:
        if not self.waiting:
            return None
        sharing = [self.waiting[future] for _, future, _ in batch if future in self.waiting]
        return begin_round_trip(batcher, len(batch), sharing) if sharing else None


class BatcherMeter:
    """Observes the batches of one batcher."""

    def __init__(self, meter: StoreMeter, name: str, observe: Callable[[float], None]) -> None:
        self._meter = meter
        self._name = name
        self._observe = observe

    def begin_batch(self, batch: Sequence[Waiting]) -> SpanRecord | None:
        """Observe a batch that is about to be sent. Return its span, if any; the caller ends it."""
        self._observe(len(batch))
        return self._meter.begin_round_trip(self._name, batch)
