"""What clients asked for and what they were told, in the order it happened.

Pure: times are given, values are made of who writes what, so that each tells where it belongs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from .linearizability import Access

#: Acknowledged, surely not applied, or nobody knows.
Outcome = Literal["acknowledged", "refused", "unknown"]


def value_of(key: str, writer: str, number: int) -> str:
    """Return the value of a write; no two are the same, and each names its key and its writer."""
    return f"{key}|{writer}|{number}"


def key_of(value: str) -> str:
    return value.partition("|")[0]


@dataclass(slots=True)
class Tally:
    """What clients were told of the steps of one counter, each of 1."""

    #: Whether each step is retried under one idempotency key until it is answered.
    keyed: bool = False
    acknowledged: int = 0
    unknown: int = 0
    #: The values that acknowledged steps were answered with.
    values: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Sight:
    """One request for an entry, as it was recorded; ETags stand for values until all are known."""

    access: Access
    etag: str | None = None


@dataclass
class History:
    """All that clients did, by counter and by entry."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    entries: dict[str, list[Sight]] = field(default_factory=dict)
    #: The value that an ETag stands for, from answers that showed both.
    etags: dict[str, str] = field(default_factory=dict)
    #: When each request ended, and whether it was answered as without a fault.
    moments: list[tuple[float, bool]] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    #: Writes that were refused: nobody may ever see their values.
    refused: set[str] = field(default_factory=set)
    #: Answers that no fault excuses, in words.
    wrong: list[str] = field(default_factory=list)

    def tally(self, counter: str, *, keyed: bool = False) -> Tally:
        return self.tallies.setdefault(counter, Tally(keyed))

    def saw(self, key: str, access: Access, etag: str | None = None) -> None:
        self.entries.setdefault(key, []).append(Sight(access, etag))

    def accesses(self, key: str) -> list[Access]:
        """Return the entry's accesses, a refusal's ETag told by the value where that is known."""
        return list(self._accesses(key))

    def _accesses(self, key: str) -> Iterator[Access]:
        for sight in self.entries.get(key, ()):
            access = sight.access
            if access.kind != "miss" or sight.etag is None:
                yield access
                continue
            seen = self.etags.get(sight.etag)
            yield Access(
                "miss",
                access.called,
                access.returned,
                seen,
                access.expected,
                is_seen=seen is not None,
            )
