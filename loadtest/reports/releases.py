"""Counts of answers by release, as the headers KV-Version and KV-Track name it. Pure."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TextIO

from ..latencies import percentile, round_up

HEADS: Final = (
    *("version", "track", "requests", "share", "failures", "wrong"),
    *("requests/s", "p50 ms", "p95 ms", "p99 ms"),
)
#: A bound on the series of /metrics. Further releases are counted together.
MOST_RELEASES: Final = 20
MOST_LETTERS: Final = 64


class Release(NamedTuple):
    """The release that answered. Both are empty for a proxy, and where there was no answer."""

    version: str
    track: str


class AnswerKind(NamedTuple):
    """The route and status of an answer. ``status`` is 0 where there was none."""

    method: str
    route: str
    status: int


#: All releases beyond MOST_RELEASES.
OTHERS: Final = Release("other", "other")


@dataclass(slots=True)
class Outcomes:
    """Requests of one release. ``failures`` include the ``wrong`` ones."""

    requests: int = 0
    failures: int = 0
    wrong: int = 0
    total_seconds: float = 0.0
    latencies: Counter[float] = field(default_factory=Counter)

    def absorb(self, other: Outcomes) -> None:
        self.requests += other.requests
        self.failures += other.failures
        self.wrong += other.wrong
        self.total_seconds += other.total_seconds
        self.latencies.update(other.latencies)


@dataclass(slots=True)
class ReleaseCounts:
    """All answers of a run, or those of a worker since its last report."""

    releases: dict[Release, Outcomes] = field(default_factory=dict)
    answers: Counter[AnswerKind] = field(default_factory=Counter)
    #: By Unix time in whole seconds.
    seconds: dict[int, Counter[Release]] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.releases.values())

    @property
    def wrong(self) -> int:
        return sum(each.wrong for each in self.releases.values())

    @property
    def duration(self) -> int:
        """Return the seconds from the first answer to the last one, both included."""
        return max(self.seconds) - min(self.seconds) + 1 if self.seconds else 0

    def add(
        self,
        release: Release,
        kind: AnswerKind,
        latency_seconds: float,
        at: float,
        *,
        failed: bool,
        wrong: bool,
    ) -> None:
        """Count an answer, or a missing one. ``at`` is its Unix time."""
        release = self._known(Release(*(part[:MOST_LETTERS] for part in release)))
        outcomes = self.releases.setdefault(release, Outcomes())
        outcomes.requests += 1
        outcomes.failures += failed
        outcomes.wrong += wrong
        outcomes.total_seconds += latency_seconds
        outcomes.latencies[round_up(latency_seconds)] += 1
        self.answers[kind] += 1
        self.seconds.setdefault(int(at), Counter())[release] += 1

    def absorb(self, other: ReleaseCounts) -> None:
        """Add other counts to these."""
        for release, outcomes in other.releases.items():
            self.releases.setdefault(self._known(release), Outcomes()).absorb(outcomes)
        self.answers.update(other.answers)
        for second, releases in other.seconds.items():
            mine = self.seconds.setdefault(second, Counter())
            for release, count in releases.items():
                mine[self._known(release)] += count

    def clear(self) -> None:
        self.releases.clear()
        self.answers.clear()
        self.seconds.clear()

    def dump(self) -> dict[str, Any]:
        """Return plain lists, for the report of a worker to its master."""
        return {
            "releases": [
                [*release, o.requests, o.failures, o.wrong, o.total_seconds, [*o.latencies.items()]]
                for release, o in self.releases.items()
            ],
            "answers": [[*kind, count] for kind, count in self.answers.items()],
            "seconds": [
                [second, *release, count]
                for second, releases in self.seconds.items()
                for release, count in releases.items()
            ],
        }

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> ReleaseCounts:
        """Return the counts that ``dump`` made into lists."""
        counts = cls()
        for version, track, requests, failures, wrong, total, latencies in dumped["releases"]:
            counts.releases[Release(version, track)] = Outcomes(
                requests, failures, wrong, total, Counter(dict(latencies))
            )
        for method, route, status, count in dumped["answers"]:
            counts.answers[AnswerKind(method, route, status)] = count
        for second, version, track, count in dumped["seconds"]:
            counts.seconds.setdefault(second, Counter())[Release(version, track)] = count
        return counts

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells under HEADS for each release. Answers without a release are last."""
        seconds = self.duration or 1
        return [
            (
                release.version or "-",
                release.track or "-",
                str(each.requests),
                f"{each.requests / self.requests:.1%}",
                str(each.failures),
                str(each.wrong),
                f"{each.requests / seconds:.1f}",
                *(f"{percentile(each.latencies, q) * 1000:.4g}" for q in (0.5, 0.95, 0.99)),
            )
            for release, each in sorted(
                self.releases.items(), key=lambda item: (not any(item[0]), item[0])
            )
        ]

    def _known(self, release: Release) -> Release:
        if release in self.releases or len(self.releases) < MOST_RELEASES:
            return release
        return OTHERS


def write_csv(file: TextIO, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
