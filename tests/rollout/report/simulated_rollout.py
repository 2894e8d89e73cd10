"""A simulated rollout: events and samples, generated from a few ratios."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from rollout.evidence.counts import Counts
from rollout.evidence.objective import Objective
from rollout.report.plan_summary import PlannedStep, PlanSummary
from rollout.report.samples import ArmSample, Sample
from rollout.runner.events import Event, EventKind, EvidenceValues

START = 1_790_000_000.0
STEPS = (
    ("canary-00", 0.0),
    ("canary-01", 0.01),
    ("canary-05", 0.05),
    ("canary-25", 0.25),
    ("canary-50", 0.5),
    ("canary-100", 1.0),
)
THRESHOLDS = EvidenceValues(harm=100, merit=20, breach=1000, mismatch=1000)
EDGES = (0.1, 0.25, 0.5)
STEP_SECONDS = 60
POLL_SECONDS = 5


@dataclass(frozen=True)
class SimulatedRollout:
    events: list[Event]
    samples: list[Sample]
    plan: PlanSummary


def plan_summary(**more: object) -> PlanSummary:
    plain = PlanSummary(
        rollout="kv",
        namespace="shop",
        strategy="canary",
        stable="1.4.0",
        canary="1.5.0",
        steps=tuple(PlannedStep(name, share) for name, share in STEPS),
        objective=Objective(slow_seconds=EDGES),
        step_seconds=STEP_SECONDS,
        deadline_seconds=3600,
        source="a local Envoy, 5 s between polls",
        not_rehearsed=(
            "mutual TLS between pods (PeerAuthentication shop/default)",
            "who may call whom (AuthorizationPolicy shop/kv)",
            "how pods are scheduled, scaled and replaced",
        ),
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # a test's own field names


def simulate_rollout(
    *,
    failing: float = 0.001,
    slow: float = 0.0,
    rate: float = 60.0,
    last: EventKind = EventKind.PROMOTED,
) -> SimulatedRollout:
    """Simulate a canary with these ratios of failed and slow requests; stable fails 0.1 %."""
    return _Simulation(failing, slow, rate).run(last)


class _Simulation:
    def __init__(self, failing: float, slow: float, rate: float) -> None:
        self._failing, self._slow, self._rate = failing, slow, rate
        self._chance = random.Random(1)
        self._now = START
        self._events: list[Event] = []
        self._samples: list[Sample] = []
        self._logs = {"errors": 0.0, "slow": 0.0, "merit": 0.0}

    def run(self, last: EventKind) -> SimulatedRollout:
        self._add_event(EventKind.STARTED, 0, thresholds=THRESHOLDS)
        for number in range(len(STEPS)):
            if number:
                self._add_event(EventKind.STEP, number)
            if number == 2:
                self._add_event(
                    EventKind.HELD, None, reason="not-proven", detail="299 requests needed"
                )
            for _ in range(STEP_SECONDS // POLL_SECONDS):
                evidence = self._window(number)
                if evidence.harm >= THRESHOLDS.harm:
                    self._add_event(EventKind.ROLLED_BACK, 0, reason="harm")
                    return SimulatedRollout(self._events, self._samples, plan_summary())
        if last is EventKind.PROMOTED:
            self._add_event(last, None, reason="good")
        elif last is not EventKind.WINDOW:
            self._add_event(last, 0, reason="deadline", detail="the plan's time was up")
        return SimulatedRollout(self._events, self._samples, plan_summary())

    def _add_event(self, kind: EventKind, number: int | None, **more: object) -> None:
        name, share = (None, None) if number is None else STEPS[number]
        fields = {"step": name, "number": number, "share": share, **more}
        self._events.append(Event(time=self._now, rollout="kv", kind=kind, **fields))  # type: ignore[arg-type]  # as above

    def _window(self, number: int) -> EvidenceValues:
        share = STEPS[number][1]
        since = self._now
        pairs: list[tuple[ArmSample, ArmSample]] = []
        for _ in range(POLL_SECONDS):
            pairs.append(
                (self._arm(1 - share, 0.001, 0.0), self._arm(share, self._failing, self._slow))
            )
            self._samples.append(Sample(self._now, share, *pairs[-1]))
            self._now += 1
        stable, canary = (sum_of([pair[arm].counts for pair in pairs]) for arm in (0, 1))
        self._update_evidence(stable, canary)
        evidence = EvidenceValues(
            harm=0.6 * _exp(self._logs["errors"]) + 0.1 * _exp(self._logs["slow"]) + 0.3,
            harm_errors=_exp(self._logs["errors"]),
            harm_slow=(1.0, _exp(self._logs["slow"]), 1.0),
            merit=_exp(self._logs["merit"]),
        )
        self._events.append(
            Event(
                time=self._now,
                rollout="kv",
                kind=EventKind.WINDOW,
                since=since,
                until=self._now,
                stable=stable,
                canary=canary,
                evidence=evidence,
            )
        )
        return evidence

    def _update_evidence(self, stable: Counts, canary: Counts) -> None:
        ratio = 5.0
        share = canary.requests / max(1, stable.requests + canary.requests)
        for name, bad, both in (
            ("errors", canary.failures, stable.failures + canary.failures),
            ("slow", canary.slow[1], stable.slow[1] + canary.slow[1]),
        ):
            self._logs[name] += bad * math.log(ratio) - both * math.log1p(share * (ratio - 1))
        kept = canary.requests - canary.failures
        self._logs["merit"] += canary.failures * math.log(0.1) + kept * math.log(0.999 / 0.99)

    def _arm(self, share: float, failing: float, slow: float) -> ArmSample:
        chance = self._chance
        requests = sum(chance.random() < share for _ in range(round(self._rate)))
        failures = sum(chance.random() < failing for _ in range(requests))
        late = failures + sum(chance.random() < slow for _ in range(requests - failures))
        counts = Counts(requests, failures, (late, late, failures))
        if not requests:
            return ArmSample(counts)
        p50 = chance.lognormvariate(math.log(1.4), 0.08)
        p99 = chance.lognormvariate(math.log(300 if slow > 0.01 else 9), 0.2)
        return ArmSample(counts, p50, p99)


def sum_of(counts: list[Counts]) -> Counts:
    first, *rest = counts
    return sum(rest, first)


def _exp(log: float) -> float:
    return math.exp(max(-700.0, min(700.0, log)))
