"""A simulated service with clients, for tests of the runner; its time passes only in ``sleep``.

It has routes, a clock, and counters of what each release answered. All of that is kept in one file,
so that a runner which is started after a kill finds it unchanged.
"""

# ruff: noqa: ARG002 - the methods have the parameters of the ports

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series, Window
from rollout.evidence.objective import Objective
from rollout.plan.model import Plan, SmokeTest, Step, Strategy
from rollout.runner.decisions import Decision, Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.ports import Ports, SourceFailed, TargetFailed
from rollout.runner.rollout_state import RolloutState
from rollout.runner.state_store import ControlCommand

BEGAN: Final = 1_800_000_000.0
EDGES: Final = (0.1,)

Answer = TypeVar("Answer")
#: What happens in the simulated world: it yields a condition, and goes on once that holds.
Script = AsyncGenerator[Callable[[], bool]]


def plan_of(
    *shares: float | None,
    strategy: Strategy = Strategy.CANARY,
    step_seconds: float = 60,
    deadline_seconds: float = 3600,
    smoke_tests: tuple[SmokeTest, ...] = (),
) -> Plan:
    """Return a plan whose steps are named by their index."""
    # The controller uses only names and shares; only the target reads the routes.
    nothing: Any = None
    return Plan(
        name="kv",
        strategy=strategy,
        stable="stable",
        canary="canary",
        steps=tuple(Step(str(n), share, _Routes(), nothing) for n, share in enumerate(shares)),  # type: ignore[arg-type]
        objective=Objective(slow_seconds=EDGES),
        step_seconds=step_seconds,
        deadline_seconds=deadline_seconds,
        smoke_tests=smoke_tests,
    )


class _Routes:
    namespace = "shop"
    name = "kv"


@dataclass
class Killer:
    """Kills this process at the n-th moment at which something was written."""

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
class SimulatedService:
    """``errors`` and ``slow`` are ratios of each release's answers; ``rate`` is per second."""

    #: None keeps the state in memory, for a runner in this process.
    path: Path | None = None
    rate: int = 50
    errors: Mapping[str, float] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    #: Share of the requests that select the canary, at steps whose own share is None.
    canary_request_share: float = 0.3
    killer: Killer = field(default_factory=Killer)
    recorded: list[str] = field(default_factory=list)
    #: Between two times there are no requests, or nothing can be read, or nothing can be changed.
    quiet: tuple[float, float] = (0, 0)
    unreadable: tuple[float, float] = (0, 0)
    unchangeable: tuple[float, float] = (0, 0)
    smoke_test_failure: str = ""
    #: Whether routes that are those of no step are the half of a change.
    half_done: bool = False
    _file: dict[str, Any] = field(default_factory=dict)
    #: The script that has not ended, and the condition that it waits for.
    _scripts: list[Script] = field(default_factory=list)
    _awaited: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            self._write({"now": BEGAN, "step": None, "history": [], "counts": {}})

    # What the runner uses.

    def ports(self, store: DirectoryStateStore) -> Ports:
        return Ports(
            target=self,
            source=self,
            store=_KillingStore(store, self.killer),
            recorder=self,
            run_smoke_test=self.run_smoke_test,
            clock=lambda: float(self.read_file()["now"]),
            monotonic=lambda: float(self.read_file()["now"]),
            sleep=self.sleep,
        )

    async def apply(self, step: Step) -> None:
        file = self.read_file()
        if self._within(self.unchangeable, file):
            raise TargetFailed("the API server is down")
        self.killer.moment(change=True)
        if file["step"] != step.name:
            file["history"].append(step.name)
        file["step"], file["share"] = step.name, step.share
        self._write(file)
        self.killer.moment()

    async def in_force(self, step: Step) -> bool:
        return bool(self.read_file()["step"] == step.name)

    async def is_between(self, one: Step, other: Step, /) -> bool:
        return self.half_done and not (await self.in_force(one) or await self.in_force(other))

    async def read(self) -> CounterSnapshot:
        file = self.read_file()
        if self._within(self.unreadable, file):
            raise SourceFailed("no sample was found")
        counts = {
            Series(Arm(arm), "one"): Counts(int(n), int(bad), (int(slow),))
            for arm, (n, bad, slow) in file["counts"].items()
        }
        return CounterSnapshot(file["now"], counts, dict.fromkeys(counts, BEGAN - 1))

    async def run_smoke_test(self, test: SmokeTest) -> str:
        return self.smoke_test_failure

    async def sleep(self, seconds: float) -> None:
        await self._go_on_with_script()
        await asyncio.sleep(0)
        file = self.read_file()
        if file["step"] is not None and not self._within(self.quiet, file):
            share = self.canary_request_share if file["share"] is None else file["share"]
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

    # What the runner records.

    async def record_start(self, state: RolloutState, *, resumed: bool) -> None:
        self.recorded.append("resumed" if resumed else "started")

    async def record_window(self, state: RolloutState, window: Window, share: float | None) -> None:
        self.recorded.append("window")

    async def record_hold(self, state: RolloutState, reason: str, detail: str) -> None:
        self.recorded.append(f"hold {reason}")

    async def record_command(self, state: RolloutState, command: ControlCommand) -> None:
        self.recorded.append(f"command {command.value}")

    async def record_step(self, state: RolloutState, decision: Decision) -> None:
        self.recorded.append(f"{decision.action.value} {decision.step}")

    async def record_verdict(self, state: RolloutState, verdict: Verdict, reason: str) -> None:
        self.recorded.append(f"{verdict.value}: {reason}")

    # What the tests use.

    def read_file(self) -> dict[str, Any]:
        if self.path is None:
            return self._file
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    @property
    def history(self) -> list[str]:
        """The names of the steps that were in force, in order."""
        return list(self.read_file()["history"])

    @property
    def seconds(self) -> float:
        return float(self.read_file()["now"]) - BEGAN

    def count(self, arm: str) -> int:
        return int(self.read_file()["counts"].get(arm, (0, 0, 0))[0])

    async def during(self, run: Awaitable[Answer], script: Script) -> Answer:
        """Run a runner while a script changes the world; fail if it never gets to its end.

        The script goes on within ``sleep``, before time passes. As a task beside the runner, it
        would be late by as many simulated seconds as the runner is quicker.
        """
        self._scripts, self._awaited = [script], lambda: True
        async with contextlib.aclosing(script):
            answer = await run
        assert not self._scripts, "the script still waits"
        return answer

    async def stop_when(
        self, condition: Callable[[], bool], run: Coroutine[Any, Any, object]
    ) -> None:
        """Run a runner, and cancel it as soon as a condition holds."""

        async def stop() -> Script:
            yield condition
            running.cancel()

        running = asyncio.ensure_future(run)
        with contextlib.suppress(asyncio.CancelledError):
            await self.during(running, stop())
        assert running.cancelled(), "the runner ended before it was stopped"

    async def _go_on_with_script(self) -> None:
        while self._scripts and self._awaited():
            try:
                self._awaited = await anext(self._scripts[0])
            except StopAsyncIteration:
                self._scripts.clear()

    def _within(self, span: tuple[float, float], file: Mapping[str, Any]) -> bool:
        return span[0] <= float(file["now"]) - BEGAN < span[1]

    def _write(self, file: dict[str, Any]) -> None:
        self._file = file
        if self.path is None:
            return
        new_file = self.path.with_suffix(".new")
        new_file.write_text(json.dumps(file))
        new_file.replace(self.path)


class _KillingStore(DirectoryStateStore):
    """The real store, with a moment to be killed before and after each save."""

    def __init__(self, store: DirectoryStateStore, killer: Killer) -> None:
        super().__init__(store._directory)
        self._killer = killer

    async def save(self, state: Mapping[str, Any]) -> None:
        self._killer.moment()
        await super().save(state)
        self._killer.moment()
