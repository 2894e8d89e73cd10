"""What a controller would have decided, and how it asks Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ..lint.resource import Resource
from ..plan.plan_file import PlanInvalid

PROMOTED: Final = "promoted"
ROLLED_BACK: Final = "rolled back"
PAUSED: Final = "paused for a person"
UNDECIDED: Final = "undecided at the end"

#: Evaluates an expression at a Unix time, and returns the values of the result.
Ask = Callable[[str, float], Awaitable[list[float]]]


@dataclass(frozen=True, slots=True)
class Decision:
    """``time`` is Unix time; ``reason`` is a short text, empty for a promotion."""

    verdict: str
    time: float
    reason: str = ""


def refused(owner: Resource, path: str, why: str) -> PlanInvalid:
    """Build the error of a field that would change the answer and is not known here."""
    return PlanInvalid(
        f"{owner.kind} {owner.namespace}/{owner.name} {path}: {why}; backtest does not know it"
    )
