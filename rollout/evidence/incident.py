"""Bounds what one incident can prove: one client, one connection, or one pod for two seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

#: The largest incident: so many requests of one client or connection, or all requests of a
#: release for so many seconds.
INCIDENT_REQUESTS: Final = 20.0
INCIDENT_SECONDS: Final = 2.0
#: Windows shorter than this, in seconds, are taken together: one incident may lie in two of them.
SPAN_SECONDS: Final = 5.0
#: A release may have this many times its usual hits before an incident is assumed.
USUAL: Final = 3.0
#: So many hits always count.
FIRST: Final = 2.0
#: The same just after other hits.
ADJACENT: Final = 1.5


def bounded(
    hits: float, usual: float, incident: float, times: float = USUAL, first: float = FIRST
) -> float:
    """Return how many hits count as independent ones, if the rest may be one incident.

    ``usual`` is the number of hits that the old release would have had, ``incident`` the size of
    the largest incident. All hits count up to ``first`` more than ``times`` the usual number; of
    the rest, only those that no single incident explains.
    """
    most = first + times * usual
    return min(hits, most) + max(0.0, hits - max(most, incident))


class Span:
    """The hits and requests of a release since a hit, for a few seconds.

    ``first`` is how many hits always count: fewer if the last span ended just before, because one
    incident may lie in both.
    """

    __slots__ = ("counted", "first", "hits", "requests", "since", "until")

    def __init__(
        self,
        since: float = -math.inf,
        until: float = -math.inf,
        hits: int = 0,
        requests: int = 0,
        counted: float = 0.0,
        first: float = FIRST,
    ) -> None:
        """``counted`` is the number of hits that have counted so far."""
        self.since, self.until = since, until
        self.hits, self.requests, self.counted = hits, requests, counted
        self.first = first

    def add(
        self, hits: int, requests: int, at: tuple[float, float], ratio: float, times: float = USUAL
    ) -> float:
        """Add a window and return how many more hits count; ``ratio`` is the usual one."""
        since, until = at
        # It begins with a hit, so that an incident doesn't lie half in it and half in the next one.
        if not self.hits or since >= self.since + SPAN_SECONDS or until < self.since:
            adjacent = self.hits and since < self.until + INCIDENT_SECONDS
            self.first = ADJACENT if adjacent else FIRST
            self.since, self.hits, self.requests, self.counted = since, 0, 0, 0.0
        self.until = until
        self.hits += hits
        self.requests += requests
        seconds = max(SPAN_SECONDS, until - self.since)
        incident = max(INCIDENT_REQUESTS, self.requests * INCIDENT_SECONDS / seconds)
        counted = bounded(self.hits, self.requests * ratio, incident, times, self.first)
        more = max(0.0, counted - self.counted)
        self.counted += more
        return more

    def dump(self) -> list[float] | None:
        """Return the state for JSON, None before the first window."""
        if self.since == -math.inf:
            return None
        return [self.since, self.until, self.hits, self.requests, self.counted, self.first]

    @classmethod
    def load(cls, dumped: Sequence[float] | None) -> Span:
        """Restore what ``dump`` returned; raise TypeError or ValueError."""
        if dumped is None:
            return cls()
        since, until, hits, requests, counted, first = dumped
        return cls(since, until, int(hits), int(requests), counted, first)
