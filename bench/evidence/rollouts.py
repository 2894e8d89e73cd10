"""One rollout in a world, run by the real controller through its ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from rollout.evidence.counts import CounterSnapshot
from rollout.plan.model import Plan, SmokeTest, Step
from rollout.runner.controller import Controller
from rollout.runner.ports import Ports, Recorder
from rollout.runner.state_store import ControlCommand, PendingCommand

from .world import EPOCH, World


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended, and what the canary had received by then.

    ``seconds`` count from the start, ``harm_seconds`` from the begin of the harm to the end; it is
    None where there was none. ``failures`` includes requests that were never answered.
    """

    verdict: str
    reason: str
    seconds: float
    requests: int
    failures: int
    harm_seconds: float | None

    @property
    def rolled_back(self) -> bool:
        return self.verdict == "rolled-back"

    @property
    def promoted(self) -> bool:
        return self.verdict == "promoted"

    @property
    def inconclusive(self) -> bool:
        return self.verdict == "inconclusive"


def summarize(world: World, verdict: str, reason: str) -> Outcome:
    """Return the outcome of a rollout that ends now."""
    world.catch_up()
    return Outcome(
        verdict,
        reason,
        world.now - EPOCH,
        world.canary_requests,
        world.canary_failures,
        None if world.harm_since is None else world.now - world.harm_since,
    )


def run_rollout(plan: Plan, world: World) -> Outcome:
    """Run the plan to its verdict. Nothing waits: sleeping moves the world's clock."""
    store = _MemoryStore()

    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    async def pass_smoke_test(_: SmokeTest) -> str:
        return ""

    ports = Ports(
        target=_Routes(world),
        source=_Prometheus(world),
        store=store,
        recorder=cast(Recorder, _Silence()),
        run_smoke_test=pass_smoke_test,
        clock=world.clock,
        monotonic=lambda: world.now,
        sleep=sleep,
    )
    verdict = asyncio.run(Controller(plan, ports).run())
    return summarize(world, verdict.value, str(store.state["reason"]))


@dataclass(slots=True)
class _Routes:
    world: World

    async def apply(self, step: Step) -> None:
        self.world.set_shares(step.share or 0.0, step.baseline_share)

    async def in_force(self, step: Step) -> bool:
        self.world.catch_up()
        return self.world.shares == (step.share or 0.0, step.baseline_share)

    async def is_between(self, _: Step, __: Step, /) -> bool:
        return False


@dataclass(slots=True)
class _Prometheus:
    world: World

    async def read(self) -> CounterSnapshot:
        return self.world.read()


class _MemoryStore:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    async def load(self) -> dict[str, Any] | None:
        return None

    async def save(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    async def record(self, event: Mapping[str, Any]) -> None: ...

    async def pending_command(self) -> PendingCommand | None:
        return None

    async def send_command(self, command: ControlCommand) -> None: ...

    async def acknowledge(self, pending: PendingCommand) -> None: ...

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        yield

    def why_not_held(self) -> str:
        return ""


class _Silence:
    """Records nothing, whatever there is to record."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def ignore(*_: object, **__: object) -> None: ...

        return ignore
