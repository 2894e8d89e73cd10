"""Traffic of two releases as windows of counts, drawn from known distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rollout.evidence.counts import Counts, Window

Numbers = NDArray[np.floating[Any]]
#: A factor that is the same for both releases, by the time in seconds.
Factor = Callable[[Numbers], Numbers]


@dataclass(frozen=True, slots=True)
class Release:
    """How a release answers: the probability to fail, and to exceed each latency edge."""

    error_ratio: float
    #: By edge, in ascending order of the edges, so descending.
    slow: tuple[float, ...] = (0.05, 0.01, 0.002)


class Traffic(Protocol):
    """The traffic that a rollout observes."""

    def window(self, since: float, share: float | None) -> Window:
        """Return the next window. ``share`` is the canary's desired share of the requests."""


def constant(times: Numbers) -> Numbers:
    """Return 1 at all times."""
    return np.ones_like(times)


def swinging_errors(rng: np.random.Generator, most: float = 2.0) -> Factor:
    """Return a factor of the error ratios that swings between 1/2 and 2, or ``most``."""
    period, phase = rng.uniform(60, 1200), rng.uniform(0, 2 * np.pi)
    return lambda times: np.minimum(2 ** np.sin(2 * np.pi * times / period + phase), most)


def drifting_share(rng: np.random.Generator) -> Factor:
    """Return a factor of the canary's share that grows to 3, as sticky clients make it grow."""
    seconds = rng.uniform(60, 900)
    return lambda times: np.minimum(3.0, 1 + 2 * times / seconds)


@dataclass(slots=True, kw_only=True)
class DrawnTraffic:
    """Windows are drawn some at a time, and again when the share changes."""

    rng: np.random.Generator
    rps: float
    stable: Release
    canary: Release
    seconds: float = 5.0
    error_factor: Factor = constant
    share_factor: Factor = constant
    #: Begin and end of a time in which all requests of both fail.
    outage: tuple[float, float] = (0.0, 0.0)
    _share: float | None = None
    _windows: Iterator[Window] = field(default_factory=lambda: iter(()))

    def window(self, since: float, share: float | None) -> Window:
        if share != self._share:
            self._share, self._windows = share, iter(())
        window = next(self._windows, None)
        if window is None:
            self._windows = self._draw(since, share or 0.0)
            window = next(self._windows)
        return window

    def _draw(self, since: float, share: float, windows: int = 24) -> Iterator[Window]:
        times = since + self.seconds * np.arange(windows)
        requests = self.rng.poisson(self.rps * self.seconds, windows)
        # Drift raises a share to 95 % at most. A share of 1 stays 1.
        actual = np.minimum(share * self.share_factor(times), max(share, 0.95))
        canary = self.rng.binomial(requests, actual)
        begin, end = self.outage
        overlap = np.minimum(times + self.seconds, end) - np.maximum(times, begin)
        down = np.clip(overlap / self.seconds, 0.0, 1.0)
        factors = self.error_factor(times)
        stable_counts = self._counts(self.stable, requests - canary, factors, down)
        canary_counts = self._counts(self.canary, canary, factors, down)
        for at, one, other in zip(times.tolist(), stable_counts, canary_counts, strict=True):
            yield Window(at, at + self.seconds, one, other)

    def _counts(
        self, release: Release, requests: NDArray[np.int64], factors: Numbers, down: Numbers
    ) -> list[Counts]:
        probability = np.maximum(down, np.minimum(release.error_ratio * factors, 1.0))
        failures = self.rng.binomial(requests, probability)
        beyond, before, slow = requests - failures, 1.0, []
        for edge in release.slow:
            beyond = self.rng.binomial(beyond, edge / before)
            before = edge
            slow.append((failures + beyond).tolist())
        columns = zip(*slow, strict=True) if slow else ((),) * len(requests)
        return [
            Counts(count, failed, tuple(edges))
            for count, failed, edges in zip(
                requests.tolist(), failures.tolist(), columns, strict=True
            )
        ]
