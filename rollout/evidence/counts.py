"""Counts of requests: totals, snapshots of counters, and the increase within a window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Arm(StrEnum):
    """Who answered a request: the release in production, a copy of it, the new one, or none.

    ``BASELINE`` runs the old release in as many pods as the canary, as young as the canary's, and
    with the canary's share of the requests. ``NEITHER`` counts requests that reached no release.
    """

    STABLE = "stable"
    BASELINE = "baseline"
    CANARY = "canary"
    NEITHER = "neither"


#: A release that fails more than this ratio of a window's requests, and so many, has an outage. Far
#: above the noise of a release that meets its objective.
OUTAGE_RATIO: Final = 0.1
OUTAGE_FAILURES: Final = 5

#: The two releases that every rollout has.
BOTH: Final = (Arm.STABLE, Arm.CANARY)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests as the client sees them: one request with two retries counts once.

    ``failures``: see ``failures.is_failure``. ``slow``: one number for each latency threshold
    of the plan, of requests that failed or took longer than the threshold.
    """

    requests: int
    failures: int
    slow: tuple[int, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.requests + other.requests,
            self.failures + other.failures,
            tuple(one + more for one, more in zip(self.slow, other.slow, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """The counters of one instance (a pod or a proxy) for one release.

    They only grow, and start again from zero when the instance restarts.
    """

    arm: Arm
    instance: str


@dataclass(frozen=True, slots=True)
class CounterSnapshot:
    """What is known of all counters at one time; ``at`` is that time, in Unix seconds.

    ``sampled`` holds the Unix time of each series' own values, where it is known; the others are as
    old as the snapshot. ``started`` holds the Unix time at which an instance started to count,
    where it is known. All times are those of one clock: the one of the system that sampled.
    ``paired`` is True if an instance counts the requests of all releases, as a proxy does; False if
    it counts those of its own release, as a pod does. ``oldest`` is the Unix time at which the
    oldest request began of those that were counted since the snapshot before, where it is known.
    """

    at: float
    counts: Mapping[Series, Counts]
    started: Mapping[Series, float]
    sampled: Mapping[Series, float] = field(default_factory=dict)
    paired: bool = True
    oldest: float = math.inf


@dataclass(frozen=True, slots=True)
class Window:
    """The increase of all counters between two samples; times in Unix seconds.

    ``baseline`` and ``neither`` are None if nothing was counted for them. ``around`` is None if
    both releases were counted over the same time. Otherwise it has as many requests as the old
    release in this window, with the failed and slow ones that it may have had during the time of
    the canary's samples, which begins sooner or ends later.
    """

    since: float
    until: float
    stable: Counts
    canary: Counts
    baseline: Counts | None = None
    neither: Counts | None = None
    around: Counts | None = None

    @property
    def old(self) -> Counts:
        """Return the counts of the old release: of stable, and of the baseline."""
        return self.stable if self.baseline is None else self.stable + self.baseline

    @property
    def requests(self) -> int:
        return self.old.requests + self.canary.requests


def fails_much(counts: Counts) -> bool:
    """Return True for an outage of a release."""
    return counts.failures >= OUTAGE_FAILURES and counts.failures > OUTAGE_RATIO * counts.requests


def fail_together(old: Counts, canary: Counts) -> bool:
    """Return True if the canary has an outage and the old release too, or half as bad a one.

    At a holdback the old release has few requests, so one of two that fails is enough.
    """
    if not fails_much(canary) or not old.failures:
        return False
    return fails_much(old) or 2 * old.failures * canary.requests >= canary.failures * old.requests


def check_window(window: Window, share: float | None, edges: int) -> None:
    """Raise ValueError, which names the field, for a window that is impossible.

    ``share`` is the desired share of the canary, ``edges`` the number of latency thresholds.
    """
    if not window.since <= window.until:
        raise ValueError("until: must not be before since")
    if share is not None and not 0 <= share <= 1:
        raise ValueError("share: must lie between 0 and 1")
    for arm in ("stable", "canary", "baseline", "neither", "around"):
        counts: Counts | None = getattr(window, arm)
        if counts is not None:
            check_counts(arm, counts, edges)


def check_counts(arm: str, counts: Counts, edges: int) -> None:
    """Raise ValueError, which names the field, for counts that contradict each other."""
    requests = counts.requests
    if requests < 0:
        raise ValueError(f"{arm}.requests: negative")
    if not 0 <= counts.failures <= requests:
        raise ValueError(f"{arm}.failures: must lie between 0 and the requests")
    if len(counts.slow) != edges:
        raise ValueError(f"{arm}.slow: must have {edges} numbers, one for each latency threshold")
    # Slow requests are not compared with failures: histograms and counters are not read at the
    # same instant.
    for slow in counts.slow:
        if not 0 <= slow <= requests:
            raise ValueError(f"{arm}.slow: must lie between 0 and the requests")
