"""Group samples (one per second) into the bins of a chart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Literal

from ..evidence.counts import Counts
from ..runner.events import total
from .samples import ArmSample, Sample

ArmName = Literal["stable", "canary"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Consecutive samples with the same desired share."""

    samples: tuple[Sample, ...]

    @property
    def since(self) -> float:
        return self.samples[0].time

    @property
    def until(self) -> float:
        return self.samples[-1].time + 1

    @property
    def middle(self) -> float:
        return (self.since + self.until) / 2

    def counts(self, *arms: ArmName) -> Counts:
        """Return the sum over these arms."""
        return total(_of(sample, arm).counts for sample in self.samples for arm in arms)

    def latency(self, arm: ArmName, percentile: Literal["p50_ms", "p99_ms"]) -> float | None:
        """Return the median of the samples' percentile in milliseconds, None without requests."""
        values = [getattr(_of(sample, arm), percentile) for sample in self.samples]
        known = [value for value in values if value is not None]
        return median(known) if known else None


def bin_samples(
    samples: Sequence[Sample], *, seconds: float, min_requests: int, arms: Sequence[ArmName]
) -> list[Bin]:
    """Group samples into bins of ``seconds``, longer ones where ``arms`` have few requests.

    A bin ends early where the desired share changes. If it is then too short or has fewer than
    ``min_requests``, it is joined to the bin before it with the same share.
    """
    bins: list[Bin] = []
    for _, same_share in groupby(samples, key=lambda sample: sample.share):
        groups: list[list[Sample]] = []
        requests, full = 0, True
        for sample in same_share:
            if full:
                groups.append([])
                requests = 0
            groups[-1].append(sample)
            requests += sum(_of(sample, arm).counts.requests for arm in arms)
            long_enough = sample.time + 1 - groups[-1][0].time >= seconds
            full = long_enough and requests >= min_requests
        if not full and len(groups) > 1:
            rest = groups.pop()
            groups[-1] += rest
        bins += [Bin(tuple(group)) for group in groups]
    return bins


def _of(sample: Sample, arm: ArmName) -> ArmSample:
    return sample.stable if arm == "stable" else sample.canary
