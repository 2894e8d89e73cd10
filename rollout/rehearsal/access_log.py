"""Reads Envoy's access log: one entry for each completed request of a client."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..envoy.resource_names import ClusterName
from ..evidence.counts import Counts
from ..evidence.failures import is_failure

#: Requests that take longer, as streams do, are few in a change of weights, and would tell nothing
#: of the others.
_USUAL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class AccessLogEntry:
    """One request as its client saw it; retries do not count separately.

    ``cluster`` is the cluster that the route chose, None without a route. ``upstream`` is the
    ``host:port`` of the last attempt. ``status`` is 0 if there was no response. ``flags`` are
    Envoy's response flags, ``-`` for none. ``began`` is the Unix time of its first byte.
    ``grpc_status`` is None if it was no call of gRPC.
    """

    cluster: ClusterName | None
    upstream: str | None
    status: int
    flags: str
    seconds: float
    began: float
    grpc_status: int | None = None

    @property
    def failed(self) -> bool:
        """True for status 5xx, without a response, and for gRPC's errors of the server."""
        return is_failure(self.status, self.grpc_status)


class AccessLog:
    """Parses lines of the access log and passes each entry to the observers."""

    def __init__(self, *observers: Callable[[AccessLogEntry], None]) -> None:
        self._observers = observers
        self._received = asyncio.Event()
        #: How many entries were read.
        self.requests = 0
        self._oldest = math.inf

    def read(self, line: bytes) -> None:
        """Process one line of Envoy's stdout; ignore a line that is not an entry."""
        try:
            entry = parse_entry(line)
        except (ValueError, KeyError, TypeError):
            return
        self.requests += 1
        if entry.seconds < _USUAL_SECONDS:
            self._oldest = min(self._oldest, entry.began)
        self._received.set()
        for observe in self._observers:
            observe(entry)

    def take_oldest(self) -> float:
        """Return when the oldest request began of those that were read since the last call."""
        oldest, self._oldest = self._oldest, math.inf
        return oldest

    async def wait_for(self, requests: int) -> None:
        """Wait until at least ``requests`` entries were read."""
        while self.requests < requests:
            self._received.clear()
            await self._received.wait()


@dataclass(slots=True)
class RequestCounts:
    """Counts entries; ``slow_seconds`` are the latency thresholds of ``Counts.slow``."""

    slow_seconds: tuple[float, ...]
    requests: int = 0
    failures: int = 0
    slow: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.slow = [0] * len(self.slow_seconds)

    def add(self, entry: AccessLogEntry) -> None:
        failed = entry.failed
        self.requests += 1
        self.failures += failed
        for index, threshold in enumerate(self.slow_seconds):
            self.slow[index] += failed or entry.seconds > threshold

    def counts(self) -> Counts:
        return Counts(self.requests, self.failures, tuple(self.slow))


def parse_entry(line: bytes) -> AccessLogEntry:
    """Parse a line in the format of ``envoy/access_log.py``.

    Raise ValueError, KeyError or TypeError if the line is not in that format.
    """
    fields = json.loads(line)
    return AccessLogEntry(
        cluster=None if fields["cluster"] is None else ClusterName.parse(fields["cluster"]),
        upstream=fields["upstream"],
        status=fields["status"] or 0,
        flags=fields["flags"] or "-",
        began=datetime.fromisoformat(fields["start_time"]).timestamp(),
        grpc_status=fields["grpc_status"],
        # Envoy truncates to whole milliseconds. 100 means more than 100 ms, so it counts as slower
        # than a threshold of 0.1 s.
        seconds=((fields["duration_ms"] or 0) + 0.5) / 1000,
    )
