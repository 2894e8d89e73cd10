"""Durations as both controllers write them. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from ..plan.plan_file import PlanInvalid

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds_of(value: Any, default: float) -> float:
    """Return the seconds of ``1m30s``, or of a number; raise PlanInvalid for another text."""
    if value in (None, ""):
        return default
    text = str(value)
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise PlanInvalid(f"{text!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
