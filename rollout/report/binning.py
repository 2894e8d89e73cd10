"""Seconds gathered into as many spans as a chart has room for, each with enough in it to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from ..evidence.counts import Counts
from ..runner.events import total
from .samples import ArmSample, Sample


@dataclass(frozen=True, slots=True)
class Span:
    """Samples of one desired share; ``since`` and ``until`` are Unix times."""

    since: float
    until: float
    samples: tuple[Sample, ...]

    @property
    def middle(self) -> float:
        return (self.since + self.until) / 2

    def counts(self, *arms: str) -> Counts:
        """Return the sum over these releases."""
        sides = [getattr(sample, arm) for sample in self.samples for arm in arms]
        return total(side.counts for side in sides)

    def latency(self, arm: str, level: str) -> float | None:
        """Return the median of the seconds' ``p50_ms`` or ``p99_ms``."""
        sides = [getattr(sample, arm) for sample in self.samples]
        known = [value for side in sides if (value := getattr(side, level)) is not None]
        return median(known) if known else None


def gather(
    samples: Sequence[Sample],
    seconds: float,
    enough: int = 0,
    requests: Callable[[Sample], int] = lambda _: 0,
) -> list[Span]:
    """Gather samples into spans of so many seconds, or of more until they have enough requests.

    What is left over goes to the span before it, unless the desired share has changed.
    """
    spans: list[Span] = []
    own: list[Sample] = []
    seen = 0
    for sample, following in zip(samples, [*samples[1:], None], strict=True):
        own.append(sample)
        seen += requests(sample)
        until = sample.time + 1
        full = until - own[0].time >= seconds and seen >= enough
        changes = following is None or following.share != sample.share
        if not (full or changes):
            continue
        before = spans[-1] if spans else None
        if not full and before and before.samples[-1].share == sample.share:
            spans[-1] = Span(before.since, until, (*before.samples, *own))
        else:
            spans.append(Span(own[0].time, until, tuple(own)))
        own, seen = [], 0
    return spans


def of(arm: str) -> Callable[[Sample], int]:
    """Return what counts a release's requests in a sample."""

    def requests(sample: Sample) -> int:
        side: ArmSample = getattr(sample, arm)
        return side.counts.requests

    return requests
