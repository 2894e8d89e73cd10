"""The plan of a rollout: its steps in order, its objective and its times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..evidence.objective import Objective
from ..manifests.weighted_rules import Routes
from .releases import Releases


class Strategy(StrEnum):
    """How requests are moved to the new release."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    AB = "ab"
    #: Each step lasts for its time; releases are not compared. For mirroring and fault injection.
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class Step:
    """One VirtualService, HTTPRoute or GRPCRoute to apply.

    ``share`` is the ratio of requests to the canary, 0 to 1. It is None if request headers, not
    weights, select the release. ``baseline_share`` is the ratio of requests to the baseline, 0 if
    there is none.
    """

    name: str
    share: float | None
    routes: Routes
    document: Mapping[str, Any]
    baseline_share: float = 0.0


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

    @property
    def releases(self) -> Releases:
        return Releases(self.stable, self.canary, self.namespace, self.baseline)

    @property
    def namespace(self) -> str:
        return self.steps[0].routes.namespace

    @property
    def virtual_service(self) -> str:
        """Return the name of the object that the steps change."""
        return self.steps[0].routes.name
