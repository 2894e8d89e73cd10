"""Bounds what one incident can prove: one client, one connection, or one pod for two seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

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
    incident may lie in both. ``windows`` are the span's windows with hits: since, until, hits.
    """

    __slots__ = ("counted", "first", "hits", "requests", "since", "until", "windows")

    def __init__(
        self,
        since: float = -math.inf,
        until: float = -math.inf,
        hits: int = 0,
        requests: int = 0,
        counted: float = 0.0,
        first: float = FIRST,
        windows: Sequence[tuple[float, float, int]] = (),
    ) -> None:
        """``counted`` is the number of hits that have counted so far."""
        self.since, self.until = since, until
        self.windows = list(windows)
        self.hits, self.requests, self.counted = hits, requests, counted
        self.first = first

    def add(
        self,
        hits: int,
        requests: int,
        at: tuple[float, float],
        ratio: float,
        times: float = USUAL,
        *,
        brief: bool = False,
    ) -> float:
        """Add a window and return how many more hits count; ``ratio`` is the usual one.

        ``brief``: all hits of an incident lie within INCIDENT_SECONDS. Then no incident explains
        hits in windows farther apart, however many requests it may hit.
        """
        since, until = at
        # It begins with a hit, so that an incident doesn't lie half in it and half in the next one.
        if not self.hits or since >= self.since + SPAN_SECONDS or until < self.since:
            adjacent = self.hits and since < self.until + INCIDENT_SECONDS
            self.first = ADJACENT if adjacent else FIRST
            self.since, self.hits, self.requests, self.counted = since, 0, 0, 0.0
            self.windows = []
        self.until = until
        if hits:
            self.windows.append((since, until, hits))
        self.hits += hits
        self.requests += requests
        seconds = max(SPAN_SECONDS, until - self.since)
        incident = self.requests * INCIDENT_SECONDS / seconds
        if brief:
            incident = min(incident, self._most_at_once)
        incident = max(INCIDENT_REQUESTS, incident)
        counted = bounded(self.hits, self.requests * ratio, incident, times, self.first)
        more = max(0.0, counted - self.counted)
        self.counted += more
        return more

    @property
    def _most_at_once(self) -> int:
        """Return the most hits in windows that one brief incident may touch."""
        most = 0
        for place, (_, until, _) in enumerate(self.windows):
            end = until + INCIDENT_SECONDS
            most = max(most, sum(hits for since, _, hits in self.windows[place:] if since < end))
        return most

    def dump(self) -> list[Any] | None:
        """Return the state for JSON, None before the first window."""
        if self.since == -math.inf:
            return None
        counts = [self.since, self.until, self.hits, self.requests, self.counted, self.first]
        return [*counts, [list(window) for window in self.windows]]

    @classmethod
    def load(cls, dumped: Sequence[Any] | None) -> Span:
        """Restore what ``dump`` returned; raise TypeError or ValueError."""
        if dumped is None:
            return cls()
        # Earlier versions saved no windows.
        since, until, hits, requests, counted, first, *windows = dumped
        saved = windows[0] if windows else ()
        pairs = [(float(begin), float(end), int(number)) for begin, end, number in saved]
        return cls(since, until, int(hits), int(requests), counted, first, pairs)
