"""Rates of requests, and the permits that they need. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_RATE: Final = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,4})?([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

#: The classes of requests that have rates of their own.
CLASSES: Final = ("read", "write", "delete", "list")


class Rate(msgspec.Struct, frozen=True, gc=False):
    """So many permits in a window. A client that paused may use all of them at once."""

    permits: int
    seconds: int

    @property
    def us_each(self) -> float:
        return self.seconds * 1_000_000 / self.permits

    def __str__(self) -> str:
        """Return it as parse_rates reads it."""
        units = {seconds: unit for unit, seconds in _SECONDS.items()}
        return f"{self.permits}/{units.get(self.seconds, f'{self.seconds}s')}"


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Permits of one limit: those ``used`` already, which are taken, and those ``wanted``."""

    name: str
    rate: Rate
    used: int = 0
    wanted: int = 1


class Taken(msgspec.Struct, frozen=True, gc=False):
    """Whether the wanted permits were taken, how many are left, and when there will be enough."""

    allowed: bool
    left: int
    wait_seconds: float


def parse_rates(text: str) -> dict[str, Rate | None]:
    """Parse ``read=100/s,write=20/10s,list=none``. Raises ValueError: what it must be."""
    rates: dict[str, Rate | None] = {}
    for part in text.split(","):
        name, _, rate = part.strip().partition("=")
        found = _RATE.fullmatch(rate)
        if name not in CLASSES or name in rates or (found is None and rate != "none"):
            raise ValueError(
                f"a comma-separated list such as read=100/s,write=600/m, of {', '.join(CLASSES)}"
            )
        rates[name] = None
        if found is not None:
            rates[name] = Rate(int(found[1]), int(found[2] or 1) * _SECONDS[found[3]])
    return rates
