"""What the controller needs from outside: a target, a source, a recorder, smoke tests, a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ..evidence.counts import CounterSnapshot, Window
from ..plan.model import SmokeTest, Step
from .decisions import Decision, Verdict
from .rollout_state import RolloutState
from .state_store import ControlCommand, StateStore


class TargetFailed(Exception):
    """The routes can't be read or changed now; the message says what to do."""


class ManagedByOther(TargetFailed):
    """Another controller manages the weights; the message names it."""


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
    #: Returns one sentence about why data may be missing, or an empty text.
    explain_missing_data: Callable[[], str] = lambda: ""
    clock: Callable[[], float] = time.time
    #: Measures the time since the last snapshot; its zero means nothing. It never jumps.
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
