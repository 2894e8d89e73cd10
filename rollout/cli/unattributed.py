"""Requests that are neither release's: what is left of a canary that no request can reach."""

from __future__ import annotations

from typing import Final, Protocol

from ..evidence.counts import Reading
from ..prometheus.query import Query
from ..runner.ports import Source

#: How long it is worth a remark that there were some, in seconds.
_LATELY_SECONDS: Final = 60.0


class Attributing(Source, Protocol):
    """A Source that counts what it can attribute to no release, as of its last reading."""

    unattributed: int


class StraysSource:
    """A Source that remembers when requests of neither release came in last."""

    def __init__(self, source: Attributing, query: Query) -> None:
        self._source = source
        self._label = query.release_label
        self._before: int | None = None
        self._at = 0.0
        self._grew_at: float | None = None

    async def read(self) -> Reading:
        """Return all counters; raise SourceFailed if they can't be had."""
        reading = await self._source.read()
        now = self._source.unattributed
        if self._before is not None and now > self._before:
            self._grew_at = reading.at
        self._before, self._at = now, reading.at
        return reading

    def remark(self) -> str:
        """Say that such requests come in, empty if none did lately."""
        if self._grew_at is None or self._at - self._grew_at > _LATELY_SECONDS:
            return ""
        label = self._label
        return (
            f"requests come in that reach neither release ({label.name} is neither {label.stable}"
            f" nor {label.canary}); see whether the canary has pods that are ready, and whether the"
            " DestinationRule's subset selects them"
        )
