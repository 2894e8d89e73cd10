"""A simulated service with its releases, clients, proxies and Prometheus, on a virtual clock.

It shares nothing with the evidence but the shape of a snapshot. Everything is drawn from ``rng``,
so a seed always gives the same world, as long as it is asked the same at the same times.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rollout.evidence.counts import CounterSnapshot

from .fleet import Fleet
from .requests import BASELINE, CANARY, NEITHER, NOWHERE, STABLE, Bools, Requests
from .scrapes import Scraper, Scraping

#: When every rollout starts, in Unix seconds.
EPOCH: Final = 1_800_000_000.0
#: How long stable has served before. Its counters are as large as after ``OLD_SECONDS``.
HISTORY_SECONDS: Final = 60.0
#: How long the old release's pods run when a rollout starts, and the new ones.
OLD_SECONDS: Final = 3600.0
NEW_SECONDS: Final = 30.0

#: Changes requests: how long they take, whether they fail, whether they are counted.
Effect = Callable[[Requests], None]


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a world, and how it is measured.

    ``pods`` are those of the old and of the new release; a baseline has as many as the new one.
    ``replicas``: Prometheus servers behind one address. ``jobs``: how many scrape each target.
    """

    rps: float = 50.0
    pods: tuple[int, int] = (3, 1)
    proxies: int = 3
    has_baseline: bool = False
    is_app: bool = False
    scraping: Scraping = field(default_factory=Scraping)
    replicas: int = 1
    jobs: int = 1


class World:
    """``effects`` are applied to all requests in their order; ``edges`` are those of ``slow``."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: Shape,
        effects: Sequence[Callable[[World], Effect]],
        edges: Sequence[float],
    ) -> None:
        self.rng: Final = rng
        self.shape: Final = shape
        self.now = EPOCH - HISTORY_SECONDS
        #: What the routes say: the canary's share, and the baseline's.
        self.shares = (0.0, 0.0)
        #: What clients do, where it is not what the routes say.
        self.actual_share: Callable[[float], float] = lambda share: share
        #: Who sends: the hash in [0, 1) that chooses a release, and the number of the user.
        self.clients: Callable[[int], tuple[np.ndarray, np.ndarray]] = self._strangers
        #: Called with the canary's share after each change.
        self.on_share: Final[list[Callable[[float], None]]] = []
        self.clock_error: Callable[[float], float] = lambda _: 0.0
        self.pods: Final = Fleet("10.0")
        self.proxies: Final = Fleet("10.1")
        self._start_instances()
        #: When the canary began to do harm, in Unix seconds; None if it never did.
        self.harm_since: float | None = None
        self.canary_requests = 0
        self.canary_failures = 0
        self._generated = self.now
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._replicas = [
            [
                Scraper(
                    rng,
                    Scraping(
                        shape.scraping.interval_seconds,
                        shape.scraping.lag_seconds,
                        shape.scraping.missed,
                        shape.scraping.port + 70 * job,
                    ),
                    self.pods if shape.is_app else self.proxies,
                    edges,
                    paired=not shape.is_app,
                )
                for job in range(shape.jobs)
            ]
            for _ in range(shape.replicas)
        ]
        self._effects: Final = [effect(self) for effect in effects]
        self.sleep(HISTORY_SECONDS)
        self.catch_up()
        self.scrape()
        # As if all that was scraped had happened many times. All that scrape a target see the same.
        before = self._replicas[0][0].totals * round(OLD_SECONDS / HISTORY_SECONDS - 1)
        for replica in self._replicas:
            for scraper in replica:
                scraper.add_earlier(before)

    def _start_instances(self) -> None:
        old, new = self.now - OLD_SECONDS, EPOCH - NEW_SECONDS
        for arm, count, at in (
            (STABLE, self.shape.pods[0], old),
            (CANARY, self.shape.pods[1], new),
            (BASELINE, self.shape.pods[1] if self.shape.has_baseline else 0, new),
        ):
            for _ in range(count):
                self.pods.add(at, arm)
        for _ in range(self.shape.proxies):
            self.proxies.add(old)

    @property
    def served_until(self) -> float:
        """Up to when requests have been served, in Unix seconds: the time of effects."""
        return self._generated

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        """Return Unix seconds as the runner's clock shows them."""
        return self.now + self.clock_error(self.now)

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time, which must not have passed."""
        heapq.heappush(self._actions, (time, next(self._order), action))

    def set_shares(self, canary: float, baseline: float) -> None:
        self.catch_up()
        self.shares = canary, baseline
        for tell in self.on_share:
            tell(canary)

    def begin_harm(self, at: float) -> None:
        """Note when the canary does harm for the first time."""
        if self.harm_since is None:
            self.harm_since = at

    def read(self) -> CounterSnapshot:
        """Return what one of the Prometheus servers answers now."""
        self.catch_up()
        replica = self._replicas[int(self.rng.integers(len(self._replicas)))]
        first, *others = [scraper.read(self.now) for scraper in replica]
        for other in others:
            first = CounterSnapshot(
                max(first.at, other.at),
                {**first.counts, **other.counts},
                {**first.started, **other.started},
                {**first.sampled, **other.sampled},
                first.paired,
            )
        return first

    def scrape(self) -> None:
        """Let every Prometheus take its samples, before an instance restarts or goes."""
        for replica in self._replicas:
            for scraper in replica:
                scraper.scrape(self._generated)

    def catch_up(self) -> None:
        """Serve the requests up to now, and do what is due meanwhile."""
        while self._actions and self._actions[0][0] <= self.now:
            time, _, action = heapq.heappop(self._actions)
            self._serve(time)
            action()
        self._serve(self.now)

    def _serve(self, until: float) -> None:
        seconds = until - self._generated
        count = int(self.rng.poisson(self.shape.rps * seconds)) if seconds > 0 else 0
        if count:
            requests = self._draw(count, seconds)
            self._generated = until
            self._finish(requests)
        self._generated = max(self._generated, until)

    def _draw(self, count: int, seconds: float) -> Requests:
        canary, baseline = self.shares
        canary = self.actual_share(canary)
        unit, user = self.clients(count)
        arm = np.where(unit < canary, CANARY, np.where(unit < canary + baseline, BASELINE, STABLE))
        return Requests(
            start=np.sort(self._generated + self.rng.random(count) * seconds),
            seconds=np.zeros(count),
            failed=np.zeros(count, dtype=bool),
            arm=arm,
            counted=arm.copy(),
            user=user,
            pod=self.pods.pick(self.rng, arm),
            proxy=self.proxies.pick(self.rng, np.zeros(count, dtype=np.int64)),
        )

    def _finish(self, requests: Requests) -> None:
        for effect in self._effects:
            effect(requests)
        starts = requests.start.tolist()
        self.pods.note(requests.pod, starts)
        canary = requests.arm == CANARY
        lost = canary & (requests.failed | (requests.counted == NOWHERE))
        self.canary_requests += int(np.count_nonzero(canary))
        self.canary_failures += int(np.count_nonzero(lost))
        for replica in self._replicas:
            for scraper in replica:
                scraper.add(requests)

    def lose(self, requests: Requests, which: Bools, *, as_neither: bool) -> None:
        """Let requests get no answer of a release: Istio counts them for neither, or nobody."""
        if as_neither and not self.shape.is_app:
            requests.counted[which] = NEITHER
            requests.failed[which] = True
        else:
            requests.counted[which] = NOWHERE

    def _strangers(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self.rng.random(count), np.full(count, -1, dtype=np.int64)
