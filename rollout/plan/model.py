"""A rollout as it is planned: which steps in which order, and what decides about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..evidence.objective import Objective
from ..manifests.virtual_service import VirtualService


class Strategy(StrEnum):
    """How a release comes to its requests."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    AB = "ab"
    #: Nobody is compared: each step has its time, as for mirrors and faults.
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class Step:
    """One VirtualService that is put in force; ``share`` is the canary's of all requests, 0 to 1.

    ``share`` is None where not weights but the requests themselves say who gets them.
    """

    name: str
    share: float | None
    routes: VirtualService
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A request that must be answered with ``status`` before the canary gets any other."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    status: int


@dataclass(frozen=True, slots=True)
class Asked:
    """How requests ask for the canary, and which share of all does, above 0, below 1.

    Only a rehearsal, which makes its requests itself, has a use for it.
    """

    headers: tuple[tuple[str, str], ...]
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order; the first is the way back: there no request is the canary's."""

    name: str
    strategy: Strategy
    #: Subsets of the DestinationRule.
    stable: str
    canary: str
    steps: tuple[Step, ...]
    objective: Objective
    #: Least time at a step, and the most for the whole rollout.
    step_seconds: float = 60.0
    deadline_seconds: float = 3600.0
    poll_seconds: float = 5.0
    checks: tuple[Check, ...] = ()
    #: None where nobody asks for a release of their own.
    asked: Asked | None = None

    @property
    def namespace(self) -> str:
        return self.steps[0].routes.namespace

    @property
    def virtual_service(self) -> str:
        return self.steps[0].routes.name
