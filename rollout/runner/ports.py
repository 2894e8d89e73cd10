"""What the controller needs from outside: a target, a source, a recorder, smoke tests, a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..evidence.counts import CounterSnapshot, Window
from ..plan.model import SmokeTest, Step
from .decisions import Decision, Verdict
from .gates import Gates
from .rollout_state import RolloutState
from .state_store import ControlCommand, StateStore
from .workloads import Workloads


class TargetFailed(Exception):
    """The routes can't be read or changed now; the message says what to do."""


class ManagedByOther(TargetFailed):
    """Another controller manages the weights; the message names it."""


class RoutesEdited(ManagedByOther):
    """Somebody has edited the routes so that no step of the plan has them; it may be undone."""


class SourceFailed(Exception):
    """No counters can be read now; the message says why."""


class Target(Protocol):
    """The system whose routes are changed: the local rehearsal, or a cluster."""

    async def apply(self, step: Step) -> None:
        """Apply a step, and return when it is in force. Idempotent.

        Raise TargetFailed, or ManagedByOther.
        """

    async def in_force(self, step: Step) -> bool:
        """Return True if the current routes are those of the step; raise TargetFailed."""

    async def is_between(self, one: Step, other: Step, /) -> bool:
        """Return True if some routes are those of one step and the rest are those of the other.

        So a runner leaves them that is killed between two objects. Raise TargetFailed.
        """


class Source(Protocol):
    """Where counters are read: Prometheus, or the access log of the rehearsal's Envoy."""

    async def read(self) -> CounterSnapshot:
        """Return all counters; raise SourceFailed."""


class Recorder(Protocol):
    """Records what happens. ``state`` is the live object, which the controller changes later."""

    async def record_start(self, state: RolloutState, *, resumed: bool) -> None: ...
    async def record_window(
        self, state: RolloutState, window: Window, share: float | None
    ) -> None: ...
    async def record_hold(self, state: RolloutState, reason: str, detail: str) -> None: ...
    async def record_command(self, state: RolloutState, command: ControlCommand) -> None: ...
    async def record_step(self, state: RolloutState, decision: Decision) -> None: ...
    async def record_verdict(self, state: RolloutState, verdict: Verdict, reason: str) -> None: ...


#: Sends a smoke test's request to the canary. Returns what was wrong, or an empty text.
RunSmokeTest = Callable[[SmokeTest], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the controller that it uses; ``clock`` returns Unix seconds."""

    target: Target
    source: Source
    store: StateStore
    recorder: Recorder
    run_smoke_test: RunSmokeTest
    #: The pods of both releases, None if the plan does not own them.
    workloads: Workloads | None = None
    #: The images of a new rollout by container: see ReleaseState.
    images: Mapping[str, str] = field(default_factory=dict)
    #: The plan's gates, None if it has none.
    gates: Gates | None = None
    #: Returns one sentence about why data may be missing, or an empty text.
    explain_missing_data: Callable[[], str] = lambda: ""
    #: Tells a person something that is no event of the rollout.
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.time
    #: Measures the time since the last snapshot; its zero means nothing. It never jumps.
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
