"""Quantities of Kubernetes: ``100m``, ``64Mi``, ``1e3``. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

#: The form of a quantity, for a schema.
PATTERN: Final = r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$"
_PARTS: Final = re.compile(r"([+-]?[\d.]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_FACTORS: Final = {
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: Decimal(1000) ** -power for power, unit in enumerate("mun", 1)},
}


def parse_quantity(value: Any) -> Decimal | None:
    """Return the amount; None for what is no quantity."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(str(value))
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        return None
    parts = _PARTS.fullmatch(value)
    if parts is None:
        return None
    number, suffix = parts.groups()
    if not suffix:
        return Decimal(number)
    if suffix in _FACTORS:
        return Decimal(number) * _FACTORS[suffix]
    return Decimal(number + suffix)
