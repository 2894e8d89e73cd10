"""Requests of two releases as counts of windows: as many as fate and drift would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rollout.evidence.counts import Counts, Window

Numbers = NDArray[np.floating[Any]]
#: What happens to both releases alike, by the time in seconds.
Course = Callable[[Numbers], Numbers]


@dataclass(frozen=True, slots=True)
class Release:
    """How a release answers: the chance to fail, and to be slower than each latency edge."""

    error_ratio: float
    #: Descending, as the edges ascend.
    slow: tuple[float, ...] = (0.05, 0.01, 0.002)


class World(Protocol):
    """What a rollout sees."""

    def window(self, since: float, share: float | None) -> Window:
        """Return the window from then on, with the canary's desired share of requests."""


def steady(times: Numbers) -> Numbers:
    """Return one, whenever: nothing happens."""
    return np.ones_like(times)


def drifting_rates(rng: np.random.Generator, most: float = 2.0) -> Course:
    """Return how error ratios swing, of both releases alike: from half to twice, or ``most``."""
    period, phase = rng.uniform(60, 1200), rng.uniform(0, 2 * np.pi)
    return lambda times: np.minimum(2 ** np.sin(2 * np.pi * times / period + phase), most)


def drifting_share(rng: np.random.Generator) -> Course:
    """Return how clients that stick to the canary raise its share: to three times in the end."""
    seconds = rng.uniform(60, 900)
    return lambda times: np.minimum(3.0, 1 + 2 * times / seconds)


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Windows drawn some at a time, anew when the share changes."""

    rng: np.random.Generator
    rps: float
    stable: Release
    canary: Release
    seconds: float = 5.0
    rates: Course = steady
    shares: Course = steady
    #: From when until when both fail whatever they are asked.
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
        # Those who stick can't be more than nearly all; none and all are what they are.
        actual = np.minimum(share * self.shares(times), max(share, 0.95))
        canary = self.rng.binomial(requests, actual)
        begin, end = self.outage
        overlap = np.minimum(times + self.seconds, end) - np.maximum(times, begin)
        down = np.clip(overlap / self.seconds, 0.0, 1.0)
        rates = self.rates(times)
        old = self._fates(self.stable, requests - canary, rates, down)
        new = self._fates(self.canary, canary, rates, down)
        for at, one, other in zip(times.tolist(), old, new, strict=True):
            yield Window(at, at + self.seconds, one, other)

    def _fates(
        self, release: Release, requests: NDArray[np.int64], rates: Numbers, down: Numbers
    ) -> list[Counts]:
        chance = np.maximum(down, np.minimum(release.error_ratio * rates, 1.0))
        failures = self.rng.binomial(requests, chance)
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
