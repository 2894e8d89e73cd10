"""A simulated cluster: routes, requests and a clock, behind the ports of the controller."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..evidence.counts import Arm, CounterSnapshot, Counts, Series, Window
from ..plan.model import Plan, SmokeTest, Step
from ..runner.decisions import Decision, Verdict
from ..runner.ports import Ports
from ..runner.rollout_state import RolloutState
from ..runner.state_store import ControlCommand, PendingCommand
from .binomial import draw_binomial


@dataclass(frozen=True, slots=True)
class Release:
    """How a release behaves: the ratio of failed requests, and of slow ones at each threshold."""

    error_ratio: float
    slow_ratios: tuple[float, ...]


class World:
    """Sends ``rate`` requests per second to two releases, by the weights in force."""

    def __init__(
        self, plan: Plan, rate: float, stable: Release, canary: Release, chance: random.Random
    ) -> None:
        self.now = 0.0
        #: Index of the step in force, and of the furthest one so far.
        self.step = self.reached = 0
        self.canary = Counts(0, 0)
        self._plan = plan
        self._rate = rate
        self._releases = {Arm.STABLE: stable, Arm.BASELINE: stable, Arm.CANARY: canary}
        self._chance = chance
        self._counted_until = 0.0
        self._rest = 0.0
        nothing = Counts(0, 0, (0,) * len(stable.slow_ratios))
        arms = [Arm.STABLE, Arm.CANARY, *([Arm.BASELINE] if plan.baseline else [])]
        self._counts = dict.fromkeys((Series(arm, "gateway") for arm in arms), nothing)

    def ports(self) -> Ports:
        """Return the ports through which a controller sees this world."""
        return Ports(
            target=self,
            source=self,
            store=_Memory(),
            recorder=_Silence(),
            run_smoke_test=_pass,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self._sleep,
        )

    async def read(self) -> CounterSnapshot:
        """Return all counters as they are now."""
        self._serve()
        counts = dict(self._counts)
        return CounterSnapshot(self.now, counts, {}, dict.fromkeys(counts, self.now))

    async def apply(self, step: Step) -> None:
        """Change the weights at once."""
        self._serve()
        self.step = [each.name for each in self._plan.steps].index(step.name)
        self.reached = max(self.reached, self.step)

    async def in_force(self, step: Step) -> bool:
        """Return True: nobody else changes the routes."""
        return self._plan.steps[self.step].name == step.name

    async def is_between(self, _: Step, __: Step, /) -> bool:
        """Return False: all weights change at once."""
        return False

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _serve(self) -> None:
        """Let the requests arrive since the last time."""
        wanted = self._rate * (self.now - self._counted_until) + self._rest
        self._counted_until = self.now
        requests = int(wanted)
        self._rest = wanted - requests
        step = self._plan.steps[self.step]
        share = canary_share(self._plan, step)
        canary = draw_binomial(self._chance, requests, share)
        left = requests - canary
        baseline = 0
        if self._plan.baseline and share < 1:
            baseline = draw_binomial(self._chance, left, step.baseline_share / (1 - share))
        for arm, number in (
            (Arm.CANARY, canary),
            (Arm.BASELINE, baseline),
            (Arm.STABLE, left - baseline),
        ):
            if number:
                counts = self._answer(self._releases[arm], number)
                self._counts[Series(arm, "gateway")] += counts
                if arm is Arm.CANARY:
                    self.canary += Counts(counts.requests, counts.failures)

    def _answer(self, release: Release, requests: int) -> Counts:
        failures = draw_binomial(self._chance, requests, release.error_ratio)
        slow, left, above = [], requests - failures, 1.0
        for ratio in release.slow_ratios:
            # Whoever is slower than a threshold is slower than the smaller ones.
            left = draw_binomial(self._chance, left, ratio / above if above else 0.0)
            above = ratio
            slow.append(failures + left)
        return Counts(requests, failures, tuple(slow))


def canary_share(plan: Plan, step: Step) -> float:
    """Return the canary's share of the requests at a step, chosen by header or by weight."""
    if step.share is not None:
        return step.share
    if step.name == plan.steps[0].name:
        return 0.0
    return plan.canary_requests.share if plan.canary_requests else 0.5


async def _pass(_: SmokeTest) -> str:
    return ""


class _Memory:
    """A StateStore that keeps nothing: a simulated runner is never killed."""

    async def load(self) -> dict[str, Any] | None:
        return None

    async def save(self, state: Mapping[str, Any]) -> None: ...
    async def record(self, event: Mapping[str, Any]) -> None: ...
    async def pending_command(self) -> PendingCommand | None:
        return None

    async def send_command(self, command: ControlCommand) -> None: ...
    async def acknowledge(self, pending: PendingCommand) -> None: ...

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        yield

    def why_not_held(self) -> str:
        return ""


class _Silence:
    """A Recorder that records nothing."""

    async def record_start(self, state: RolloutState, *, resumed: bool) -> None: ...
    async def record_window(
        self, state: RolloutState, window: Window, share: float | None
    ) -> None: ...
    async def record_hold(self, state: RolloutState, reason: str, detail: str) -> None: ...
    async def record_command(self, state: RolloutState, command: ControlCommand) -> None: ...
    async def record_step(self, state: RolloutState, decision: Decision) -> None: ...
    async def record_verdict(self, state: RolloutState, verdict: Verdict, reason: str) -> None: ...
