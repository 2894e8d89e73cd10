"""The names of all shapes, and the curves of those that follow the time of the run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

#: Returns the part of the users at a time. The time is the part of the run that is over, 0 to 1.
Curve = Callable[[float], float]

RAMP_STEPS: Final = 10
#: The part of the users before and after a spike.
BASELINE: Final = 0.2


def ramp(time: float) -> float:
    """Rise in RAMP_STEPS equal steps. The last one has all users."""
    return min(1.0, (int(time * RAMP_STEPS) + 1) / RAMP_STEPS)


def spike(time: float) -> float:
    """Jump from the baseline to all users for the middle fifth, and return to it."""
    return 1.0 if 0.4 <= time < 0.6 else BASELINE


def soak(time: float) -> float:
    """Rise over the first twentieth, and stay."""
    return min(1.0, max(0.1, time / 0.05))


CURVES: Final[Mapping[str, Curve]] = {"ramp": ramp, "spike": spike, "soak": soak}
#: The shape that searches for the knee.
KNEE: Final = "knee"
SHAPES: Final = ("none", *CURVES, KNEE)
