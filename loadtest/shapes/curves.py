"""Numbers of users over the time of a run, both as parts of the whole. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

#: From the part of the run that is over, 0 to 1, to the part of the users that run then.
Curve = Callable[[float], float]

#: Steps of the ramp.
STEPS: Final = 10
#: What a spike rises from, and returns to.
CALM: Final = 0.2


def ramp(over: float) -> float:
    """Rise by STEPS equal steps; the last one has all users."""
    return min(1.0, (int(over * STEPS) + 1) / STEPS)


def spike(over: float) -> float:
    """Stay calm, jump to all users for the middle fifth, and be calm again to see it recover."""
    return 1.0 if 0.4 <= over < 0.6 else CALM


def soak(over: float) -> float:
    """Come in over the first twentieth, and stay."""
    return min(1.0, max(0.1, over / 0.05))


CURVES: Final[Mapping[str, Curve]] = {"ramp": ramp, "spike": spike, "soak": soak}
