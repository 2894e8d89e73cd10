"""Counters as Prometheus shows them: pods restart, scrapes are missed, samples are late."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bench.frame.rows import Row, percentage
from rollout.evidence import Evidence
from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series, Window
from rollout.evidence.objective import Objective
from rollout.evidence.windows import increase

from . import limits
from .confidence import bound_row
from .offline import recompute
from .scenarios import Scenario, Sizes, simulate_all

SECONDS = 400
POLL_SECONDS = 5
LAG_SECONDS = 15
MISSED = 0.1
RESTARTS_PER_SECOND = 1 / 200
SHARE = 0.25
PODS = {Arm.STABLE: 3, Arm.CANARY: 2}
RPS = {Arm.STABLE: 36, Arm.CANARY: 12}
ERRORS = 0.01
OUTAGE_SECONDS = 10
EDGES = len(Objective().slow_seconds)


@dataclass(slots=True)
class Pod:
    """A pod's counters and its start time, at each second."""

    counts: list[Counts] = field(default_factory=lambda: [Counts(0, 0, (0,) * EDGES)])
    started: list[float] = field(default_factory=lambda: [0.0])


@dataclass(frozen=True, slots=True)
class Found:
    """Windows with more, or other, requests than were served in them, and the consequences."""

    windows: int
    too_many: int
    other: int
    overlapping: int
    rolled_back: bool
    difference: float


@dataclass(frozen=True)
class Counters:
    """One run of equal releases with an outage of both, read as a rollout reads Prometheus."""

    restarts: bool

    def __call__(self, rng: np.random.Generator) -> Found:
        pods, served = self._serve(rng)
        objective = Objective()
        evidence = Evidence(objective)
        seen: list[tuple[Window, float | None]] = []
        rolled_back, baseline = False, _read(pods, 0, rng, missed=0.0)
        for now in range(LAG_SECONDS, SECONDS, POLL_SECONDS):
            newer = _read(pods, now - LAG_SECONDS, rng, missed=MISSED)
            window, baseline = increase(baseline, newer, edges=EDGES)
            evidence.observe(window, SHARE)
            rolled_back = rolled_back or evidence.harmful
            seen.append((window, SHARE))
        recomputed = recompute(objective, seen)
        # Tests compare the numbers bit for bit. Here the sums are compared.
        found = {
            "harm": math.log(evidence.harm),
            "errors": math.log(evidence.harm_errors),
            "merit": math.log(evidence.merit),
            "breach": math.log(evidence.breach),
            "mismatch": math.log(evidence.mismatch),
        }
        return Found(
            windows=len(seen),
            too_many=sum(_exceeds(window, served) for window, _ in seen),
            other=sum(_differs(window, served) for window, _ in seen),
            overlapping=sum(
                later.since < sooner.until for (sooner, _), (later, _) in pairwise(seen)
            ),
            rolled_back=rolled_back,
            difference=max(abs(found[name] - recomputed[name]) for name in found),
        )

    def _serve(self, rng: np.random.Generator) -> tuple[dict[Series, Pod], dict[Arm, list[Counts]]]:
        """Return the pods, and the answers of each arm up to each second."""
        pods = {
            Series(arm, f"{arm}-{number}"): Pod() for arm in PODS for number in range(PODS[arm])
        }
        served = {arm: [Counts(0, 0, (0,) * EDGES)] for arm in PODS}
        outage = rng.integers(SECONDS - OUTAGE_SECONDS)
        for second in range(SECONDS):
            probability = 1.0 if 0 <= second - outage < OUTAGE_SECONDS else ERRORS
            answered = {arm: each[-1] for arm, each in served.items()}
            for series, pod in pods.items():
                requests = int(rng.poisson(RPS[series.arm] / PODS[series.arm]))
                failures = int(rng.binomial(requests, probability))
                more = Counts(requests, failures, (failures,) * EDGES)
                answered[series.arm] += more
                restarts = self.restarts and rng.random() < RESTARTS_PER_SECOND
                pod.counts.append(more if restarts else pod.counts[-1] + more)
                pod.started.append(second + 0.5 if restarts else pod.started[-1])
            for arm, counts in answered.items():
                served[arm].append(counts)
        return pods, served


def _read(
    pods: dict[Series, Pod], second: int, rng: np.random.Generator, *, missed: float
) -> CounterSnapshot:
    scraped = {series: pod for series, pod in pods.items() if rng.random() >= missed}
    return CounterSnapshot(
        at=float(second),
        counts={series: pod.counts[second] for series, pod in scraped.items()},
        started={series: pod.started[second] for series, pod in scraped.items()},
    )


def _served(arm: list[Counts], window: Window) -> Counts:
    before, after = arm[int(window.since)], arm[int(window.until)]
    slow = tuple(new - old for old, new in zip(before.slow, after.slow, strict=True))
    return Counts(after.requests - before.requests, after.failures - before.failures, slow)


def _pairs(window: Window, served: dict[Arm, list[Counts]]) -> tuple[tuple[Counts, Counts], ...]:
    """Return the counts of the window and those that were served in it, for both arms."""
    return (
        (window.stable, _served(served[Arm.STABLE], window)),
        (window.canary, _served(served[Arm.CANARY], window)),
    )


def _exceeds(window: Window, served: dict[Arm, list[Counts]]) -> bool:
    return any(
        counted.requests > true.requests or counted.failures > true.failures
        for counted, true in _pairs(window, served)
    )


def _differs(window: Window, served: dict[Arm, list[Counts]]) -> bool:
    return any(counted != true for counted, true in _pairs(window, served))


def simulate_counters(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    runs = sizes.others // 2
    scenarios = [
        Scenario("missed scrapes, 15 s lag", runs, Counters(restarts=False)),
        Scenario("restarts, missed scrapes, 15 s lag", runs, Counters(restarts=True)),
    ]
    missed, restarted = simulate_all(executor, (sizes.seed, 9), scenarios)
    total = sum(found.windows for found in missed)
    title = f"{scenarios[0].title}: windows with other requests than were served"
    yield percentage(title, sum(found.other for found in missed), total, limits.NONE)
    title = f"{scenarios[1].title}: windows with more requests"
    yield percentage(title, sum(found.too_many for found in restarted), total, limits.NONE)
    both = [*missed, *restarted]
    overlapping = sum(found.overlapping for found in both)
    yield percentage("windows that overlap", overlapping, 2 * total, limits.NONE)
    back = sum(found.rolled_back for found in both)
    title = "equal releases, an outage of both: rolled back"
    yield bound_row(title, back, len(both), limits.FALSE_ROLLBACKS_BOUND)
    greatest = max(found.difference for found in both)
    yield Row("log e-values, running less recomputed, largest", greatest, "", limits.RECOMPUTED)
