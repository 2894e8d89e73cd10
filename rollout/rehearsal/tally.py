"""What the rehearsal's clients saw, by the second and in all: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: For who answered without saying who it is, and for Envoy itself.
NOBODY: Final = ""
#: The status of a request that got no answer.
NO_ANSWER: Final = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; ``track`` and ``version`` are what its headers say."""

    status: int
    track: str = NOBODY
    version: str = NOBODY

    @property
    def failed(self) -> bool:
        return self.status >= 500 or self.status == NO_ANSWER


@dataclass(slots=True)
class Sample:
    """One second of traffic; ``second`` counts from the start of it."""

    second: int
    requests: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    """``skipped`` requests were due and not sent, as too many were under way.

    ``acknowledged`` are increments that were answered well, by counter; ``unsettled`` those of
    which nobody knows, after all tries, whether they were made.
    """

    by_status: Counter[int] = field(default_factory=Counter)
    by_track: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unsettled: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    @property
    def requests(self) -> int:
        return self.by_status.total()

    @property
    def failures(self) -> int:
        return sum(
            count
            for status, count in self.by_status.items()
            if status >= 500 or status == NO_ANSWER
        )

    def add(self, answered: Answered, second: int) -> None:
        """Count an answer, or that there was none, at a second after the start."""
        while len(self.samples) <= second:
            self.samples.append(Sample(len(self.samples)))
        sample = self.samples[second]
        self.by_status[answered.status] += 1
        self.by_track[answered.track] += 1
        self.by_version[answered.version] += 1
        sample.requests[answered.track] += 1
        sample.failures[answered.track] += answered.failed

    def wrong_counters(self, values: Mapping[str, int]) -> Mapping[str, int]:
        """Return what each counter has too much, negative for too little; none if all is well.

        ``values`` are the counters as they stand. An increment that nobody knows of may be in it.
        """
        wrong = {}
        for counter in self.acknowledged | self.unsettled:
            least = self.acknowledged[counter]
            most = least + self.unsettled[counter]
            value = values.get(counter, 0)
            if not least <= value <= most:
                wrong[counter] = value - (most if value > most else least)
        return wrong
