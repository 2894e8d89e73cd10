"""Counters as Prometheus scrapes them: each target at its own times, and some of them never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rollout.evidence.counts import CounterSnapshot, Counts, Series

from .fleet import Fleet
from .requests import ARMS, NOWHERE, Floats, Ints, Requests

_NOTHING = np.zeros((0, 0), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Scraping:
    """How one Prometheus scrapes; times in seconds.

    ``lag_seconds``: how long a sample takes until a query sees it. ``missed``: the ratio of scrapes
    that fail; the target's series are then absent until the next scrape.
    """

    interval_seconds: float = 5.0
    lag_seconds: float = 0.0
    missed: float = 0.0
    port: int = 15020


@dataclass(slots=True)
class Scraper:
    """One job of one Prometheus. Give it all requests, and read what it has scraped.

    ``paired``: the targets are proxies, which count all releases, each from its first request. Else
    they are pods, whose counters and start time are there from the beginning.
    """

    rng: np.random.Generator
    scraping: Scraping
    targets: Fleet
    edges: Sequence[float]
    paired: bool
    _phases: list[float] = field(default_factory=list)
    _sampled: Floats = field(default_factory=lambda: np.zeros(0))
    _is_missed: list[bool] = field(default_factory=list)
    _resets: list[float] = field(default_factory=list)
    #: By target and arm: requests by latency class. The last class has those that failed.
    _totals: Ints = field(default_factory=lambda: _NOTHING)
    _done: Floats = field(default_factory=lambda: np.zeros(0))
    _target: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _key: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, requests: Requests) -> None:
        """Keep requests until the scrape after their answer."""
        counted = np.flatnonzero(requests.counted != NOWHERE)
        classes = len(self.edges) + 2
        level = np.searchsorted(np.asarray(self.edges), requests.seconds[counted], side="left")
        level[requests.failed[counted]] = classes - 1
        target = (requests.proxy if self.paired else requests.pod)[counted]
        key = (target * len(ARMS) + requests.counted[counted]) * classes + level
        self._done = np.concatenate((self._done, requests.done[counted]))
        self._target = np.concatenate((self._target, target))
        self._key = np.concatenate((self._key, key))

    def scrape(self, now: float) -> None:
        """Take the samples up to now. Call it before a target restarts or goes."""
        self._meet_new_targets()
        interval = self.scraping.interval_seconds
        phases = np.array(self._phases)
        latest = phases + np.floor((now - self.scraping.lag_seconds - phases) / interval) * interval
        for index in np.flatnonzero(latest > self._sampled).tolist():
            if latest[index] >= self.targets.gone[index]:
                latest[index] = self._sampled[index]
                continue
            self._is_missed[index] = (
                self.scraping.missed > 0 and self.rng.random() < self.scraping.missed
            )
            if self._resets[index] < self.targets.restarted[index] <= latest[index]:
                self._restart(index)
        taken = self._done <= latest[self._target]
        rows, classes = len(self.targets) * len(ARMS), len(self.edges) + 2
        more = np.bincount(self._key[taken], minlength=rows * classes)
        self._totals += more.reshape(rows, classes)
        left = ~taken
        self._done, self._target = self._done[left], self._target[left]
        self._key = self._key[left]
        self._sampled = np.maximum(self._sampled, latest)

    @property
    def totals(self) -> Ints:
        """What was scraped so far."""
        return self._totals

    def add_earlier(self, totals: Ints) -> None:
        """Let the counters be larger by this much, as those of targets that ran for long."""
        self._totals += totals

    def read(self, now: float) -> CounterSnapshot:
        self.scrape(now)
        interval, lag = self.scraping.interval_seconds, self.scraping.lag_seconds
        levels = self._totals[:, ::-1].cumsum(axis=1)[:, ::-1].tolist()
        failures = self._totals[:, -1].tolist()
        sampled = self._sampled.tolist()
        counts: dict[Series, Counts] = {}
        times: dict[Series, float] = {}
        started: dict[Series, float] = {}
        for index, own in enumerate(self.targets.arms):
            # After the target has gone, the next scrape marks its series as stale.
            if (
                self._is_missed[index]
                or sampled[index] < self._resets[index]
                or now - lag - sampled[index] >= interval + 1e-6
            ):
                continue
            name = f"{self.targets.address(index)}:{self.scraping.port}"
            for arm in range(len(ARMS)) if self.paired else (own,):
                row = index * len(ARMS) + arm
                if self.paired and not levels[row][0]:
                    continue
                series = Series(ARMS[arm], name)
                counts[series] = Counts(levels[row][0], failures[row], tuple(levels[row][1:-1]))
                times[series] = sampled[index]
                if not self.paired:
                    started[series] = self._resets[index]
        return CounterSnapshot(now, counts, started, times, paired=self.paired)

    def _meet_new_targets(self) -> None:
        interval = self.scraping.interval_seconds
        new = range(len(self._phases), len(self.targets))
        if not new:
            return
        for index in new:
            # A target is first scraped within one interval after its start.
            self._phases.append(self.targets.started[index] + self.rng.uniform(0, interval))
            self._is_missed.append(False)
            self._resets.append(self.targets.restarted[index])
        before = [self.targets.started[index] - 1.0 for index in new]
        self._sampled = np.concatenate((self._sampled, before))
        totals = np.zeros((len(self.targets) * len(ARMS), len(self.edges) + 2), dtype=np.int64)
        if len(self._totals):
            totals[: len(self._totals)] = self._totals
        self._totals = totals

    def _restart(self, index: int) -> None:
        """Forget what the target had counted, and what nobody had scraped by then."""
        at = self.targets.restarted[index]
        self._resets[index] = at
        self._totals[index * len(ARMS) : (index + 1) * len(ARMS)] = 0
        kept = (self._target != index) | (self._done > at)
        self._done, self._target = self._done[kept], self._target[kept]
        self._key = self._key[kept]
