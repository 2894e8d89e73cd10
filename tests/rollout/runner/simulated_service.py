"""A town of users in a file: time passes only when somebody waits, and kills can't hurt it.

What a cluster and its clients would be to a runner: routes, a clock, and counters of what either
release answered, all kept in one file, so that a runner which is killed finds them as they were.
"""

# ruff: noqa: ARG002 - a port's methods have the parameters it has

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rollout.evidence.counts import Arm, Counts, Reading, Series, Window
from rollout.evidence.objective import Objective
from rollout.plan.model import Check, Plan, Step, Strategy
from rollout.runner.controller import Verdict, World
from rollout.runner.decisions import Decision
from rollout.runner.directory_state_store import DirectoryState
from rollout.runner.ports import SourceFailed, TargetFailed
from rollout.runner.rollout_state import Standing
from rollout.runner.state_store import Order

BEGAN: Final = 1_800_000_000.0
EDGES: Final = (0.1,)


def plan_of(
    *shares: float | None,
    strategy: Strategy = Strategy.CANARY,
    step_seconds: float = 60,
    deadline_seconds: float = 3600,
    checks: tuple[Check, ...] = (),
) -> Plan:
    """Return a plan whose steps are called by their place."""
    # The controller looks at names and shares alone; routes are the target's affair.
    nothing: Any = None
    return Plan(
        name="town",
        strategy=strategy,
        stable="stable",
        canary="canary",
        steps=tuple(Step(str(n), share, _Routes(), nothing) for n, share in enumerate(shares)),  # type: ignore[arg-type]
        objective=Objective(slow_seconds=EDGES),
        step_seconds=step_seconds,
        deadline_seconds=deadline_seconds,
        checks=checks,
    )


class _Routes:
    namespace = "town"
    name = "kv"


@dataclass
class Killer:
    """Ends this process without a word at the n-th moment at which something was written."""

    at: int | None = None
    passed: int = 0
    #: The moments at which routes were changed.
    changes: list[int] = field(default_factory=list)

    def moment(self, *, change: bool = False) -> None:
        self.passed += 1
        if change:
            self.changes.append(self.passed)
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Town:
    """``errors`` and ``slow`` are shares of each release's answers; requests come steadily."""

    #: None: kept in memory, for a runner in this process.
    path: Path | None = None
    rate: int = 50
    errors: Mapping[str, float] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    #: Share of the requests for a step whose own share is None.
    asked: float = 0.3
    killer: Killer = field(default_factory=Killer)
    said: list[str] = field(default_factory=list)
    #: Set by tests: between two times nothing comes, or nothing can be read or changed.
    quiet: tuple[float, float] = (0, 0)
    blind: tuple[float, float] = (0, 0)
    stuck: tuple[float, float] = (0, 0)
    broken_checks: str = ""
    _file: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            self._write({"now": BEGAN, "step": None, "history": [], "counts": {}})

    # What the runner sees.

    def world(self, store: DirectoryState) -> World:
        return World(
            target=self,
            source=self,
            store=_Watched(store, self.killer),
            teller=self,
            check=self.check,
            clock=lambda: float(self.read_file()["now"]),
            sleep=self.sleep,
        )

    async def apply(self, step: Step) -> None:
        file = self.read_file()
        if self._within(self.stuck, file):
            raise TargetFailed("the town hall is closed")
        self.killer.moment(change=True)
        if file["step"] != step.name:
            file["history"].append(step.name)
        file["step"], file["share"] = step.name, step.share
        self._write(file)
        self.killer.moment()

    async def in_force(self, step: Step) -> bool:
        return bool(self.read_file()["step"] == step.name)

    async def read(self) -> Reading:
        file = self.read_file()
        if self._within(self.blind, file):
            raise SourceFailed("fog")
        counts = {
            Series(Arm(arm), "one"): Counts(int(n), int(bad), (int(slow),))
            for arm, (n, bad, slow) in file["counts"].items()
        }
        return Reading(file["now"], counts, dict.fromkeys(counts, BEGAN - 1))

    async def check(self, check: Check) -> str:
        return self.broken_checks

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        file = self.read_file()
        if file["step"] is not None and not self._within(self.quiet, file):
            share = self.asked if file["share"] is None else file["share"]
            for arm, part in (("stable", 1 - share), ("canary", share)):
                n, bad, slow = file["counts"].get(arm, (0.0, 0.0, 0.0))
                came = self.rate * seconds * part
                file["counts"][arm] = (
                    n + came,
                    bad + came * self.errors.get(arm, 0.0),
                    slow + came * max(self.errors.get(arm, 0.0), self.slow.get(arm, 0.0)),
                )
        file["now"] += seconds
        self._write(file)

    # What the runner says.

    async def began(self, standing: Standing, *, resumed: bool) -> None:
        self.said.append("resumed" if resumed else "began")

    async def window(self, standing: Standing, window: Window, share: float | None) -> None:
        self.said.append("window")

    async def held(self, standing: Standing, reason: str, detail: str) -> None:
        self.said.append(f"held {reason}")

    async def ordered(self, standing: Standing, order: Order) -> None:
        self.said.append(f"ordered {order.value}")

    async def stepped(self, standing: Standing, decision: Decision) -> None:
        self.said.append(f"{decision.action.value} {decision.step}")

    async def ended(self, standing: Standing, verdict: Verdict, reason: str) -> None:
        self.said.append(f"ended {verdict.value}: {reason}")

    # What the test sees.

    def read_file(self) -> dict[str, Any]:
        if self.path is None:
            return self._file
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    @property
    def history(self) -> list[str]:
        """The steps that were in force, one after the other."""
        return list(self.read_file()["history"])

    @property
    def seconds(self) -> float:
        return float(self.read_file()["now"]) - BEGAN

    def count(self, arm: str) -> int:
        return int(self.read_file()["counts"].get(arm, (0, 0, 0))[0])

    def _within(self, span: tuple[float, float], file: Mapping[str, Any]) -> bool:
        return span[0] <= float(file["now"]) - BEGAN < span[1]

    def _write(self, file: dict[str, Any]) -> None:
        self._file = file
        if self.path is None:
            return
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(file))
        beside.replace(self.path)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the runner beside to come so far."""
    while not condition():  # noqa: ASYNC110 - the town's time has no events
        await asyncio.sleep(0)


class _Watched(DirectoryState):
    """The real state of a runner, with a killer at its door."""

    def __init__(self, store: DirectoryState, killer: Killer) -> None:
        super().__init__(store._directory)
        self._killer = killer

    async def save(self, state: Mapping[str, Any]) -> None:
        self._killer.moment()
        await super().save(state)
        self._killer.moment()
