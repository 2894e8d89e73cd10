"""A source whose failures never fall while its requests do not."""

from __future__ import annotations

from dataclasses import replace

from ..evidence.counts import CounterSnapshot, Counts, Series
from ..runner.ports import Source


class RisingFailures:
    """A Source for failures that are computed as a difference: all events minus the good ones.

    A scrape between the two increments of one event sees it as bad, and the next one as good. The
    failures then fall, which would look like a restart.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._last: dict[Series, Counts] = {}

    async def read(self) -> CounterSnapshot:
        """Return all counters; raise SourceFailed."""
        snapshot = await self._source.read()
        self._last = {
            series: self._raise(self._last.get(series), counts)
            for series, counts in snapshot.counts.items()
        }
        return replace(snapshot, counts=self._last)

    @staticmethod
    def _raise(last: Counts | None, now: Counts) -> Counts:
        if last is None or now.requests < last.requests or now.failures >= last.failures:
            return now
        return replace(now, failures=min(last.failures, now.requests))
