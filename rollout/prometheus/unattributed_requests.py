"""Reports requests that Prometheus counted for neither release, for example without ready pods."""

from __future__ import annotations

from typing import Final, Protocol

from ..evidence.counts import CounterSnapshot
from ..runner.ports import Source
from .query import Query

#: How long, in seconds, such requests are reported after the last one.
_REPORT_SECONDS: Final = 60.0


class CountsUnattributed(Source, Protocol):
    """A Source that also counts requests of neither release, as of the last snapshot."""

    unattributed: int


class UnattributedRequests:
    """A Source that remembers when the number of unattributed requests last grew."""

    def __init__(self, source: CountsUnattributed, query: Query) -> None:
        self._source = source
        self._label = query.release_label
        self._previous: int | None = None
        self._at = 0.0
        self._grew_at: float | None = None

    async def read(self) -> CounterSnapshot:
        """Return all counters; raise SourceFailed."""
        snapshot = await self._source.read()
        unattributed = self._source.unattributed
        if self._previous is not None and unattributed > self._previous:
            self._grew_at = snapshot.at
        self._previous, self._at = unattributed, snapshot.at
        return snapshot

    def explain_missing_data(self) -> str:
        """Return a sentence about such requests in the last minute, empty if there were none."""
        if self._grew_at is None or self._at - self._grew_at > _REPORT_SECONDS:
            return ""
        label = self._label
        return (
            f"some requests reach neither release ({label.name} is neither {label.stable} nor"
            f" {label.canary}); check that the canary has ready pods, and that the subset of the"
            " DestinationRule selects them"
        )
