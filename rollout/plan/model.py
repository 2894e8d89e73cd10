"""The plan of a rollout: its steps in order, its objective and its times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..evidence.objective import Objective
from ..manifests.weighted_rules import Routes
from .gate_spec import GateSpec
from .notify_spec import NotifySpec
from .releases import Releases


class Strategy(StrEnum):
    """How requests are moved to the new release."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    AB = "ab"
    #: Each step lasts for its time; releases are not compared. For mirroring and fault injection.
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class StepConditions:
    """What a step asks for beside the evidence of the whole rollout.

    ``seconds`` replaces the plan's step time. ``requests`` is how many the canary must have had at
    this step. ``pause`` waits for a person, without an end. ``objective`` is judged by the requests
    of this step alone.
    """

    seconds: float | None = None
    requests: int = 0
    pause: bool = False
    objective: Objective | None = None


@dataclass(frozen=True, slots=True)
class RouteObject:
    """A VirtualService, HTTPRoute or GRPCRoute as it is at a step."""

    routes: Routes
    document: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.routes.kind} {self.routes.namespace}/{self.routes.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """A VirtualService, HTTPRoute or GRPCRoute to apply, and ``others`` together with it.

    ``share`` is the ratio of requests to the canary, 0 to 1. It is None if request headers, not
    weights, select the release. ``baseline_share`` is the ratio of requests to the baseline, 0 if
    there is none.
    """

    name: str
    share: float | None
    routes: Routes
    document: Mapping[str, Any]
    baseline_share: float = 0.0
    conditions: StepConditions = StepConditions()
    others: tuple[RouteObject, ...] = ()

    @property
    def objects(self) -> tuple[RouteObject, ...]:
        """Return all objects of the step; each step of a plan has the same ones in this order."""
        return (RouteObject(self.routes, self.document), *self.others)

    @property
    def all_routes(self) -> tuple[Routes, ...]:
        return tuple(each.routes for each in self.objects)


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """A request that the canary must answer with ``status`` before it gets other requests."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    status: int


@dataclass(frozen=True, slots=True)
class CanaryRequests:
    """The headers that select the canary, and the ratio of requests with them, between 0 and 1.

    Only a rehearsal uses this, because it generates its own requests.
    """

    headers: tuple[tuple[str, str], ...]
    share: float


@dataclass(frozen=True, slots=True)
class WorkloadNames:
    """The Deployments that run the releases, in the namespace of the routes."""

    stable: str
    canary: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. The first one gives the canary no requests; a rollback applies it."""

    name: str
    strategy: Strategy
    #: Subsets of the DestinationRule, or Services.
    stable: str
    canary: str
    steps: tuple[Step, ...]
    objective: Objective
    #: The shortest time at each step, and the longest time of the whole rollout.
    step_seconds: float = 60.0
    deadline_seconds: float = 3600.0
    poll_seconds: float = 2.0
    smoke_tests: tuple[SmokeTest, ...] = ()
    #: None if no request selects the canary by itself.
    canary_requests: CanaryRequests | None = None
    #: A subset or Service that runs the old release in pods as young as the canary's, or None.
    baseline: str | None = None
    #: How long, in seconds, new pods are slow: their latencies count only after it. With a baseline
    #: they always count, because its pods are as young.
    warm_up_seconds: float = 60.0
    #: None if the pods of the releases are somebody else's care.
    workloads: WorkloadNames | None = None
    gates: tuple[GateSpec, ...] = ()
    notify: tuple[NotifySpec, ...] = ()

    def seconds_at(self, step: Step) -> float:
        """Return the shortest time at a step."""
        seconds = step.conditions.seconds
        return self.step_seconds if seconds is None else seconds

    @property
    def releases(self) -> Releases:
        return Releases(self.stable, self.canary, self.namespace, self.baseline)

    @property
    def namespace(self) -> str:
        return self.steps[0].routes.namespace

    @property
    def virtual_service(self) -> str:
        """Return the name of the object that the steps change, the first one of several."""
        return self.steps[0].routes.name


def plan_without_pauses(plan: Plan, *, with_times: bool = True) -> Plan:
    """Return a plan that nobody has to resume; without times and counts, only objectives remain."""
    steps = []
    for step in plan.steps:
        conditions = replace(step.conditions, pause=False)
        if not with_times:
            conditions = StepConditions(objective=conditions.objective)
        steps.append(replace(step, conditions=conditions))
    return replace(plan, steps=tuple(steps))
