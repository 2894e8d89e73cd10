"""What the service may cost; a bench that finds more fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Limit:
    """A bound, itself allowed."""

    kind: Literal["at most", "at least"]
    bound: float

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.kind == "at most" else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at most' else '≥'} {self.bound:g}"


def at_most(bound: float) -> Limit:
    return Limit("at most", bound)


def at_least(bound: float) -> Limit:
    return Limit("at least", bound)


#: CPU time of one of tallykv's operations, in units of a bare aiohttp hello's request.
HELLOS: Final = {
    "get": at_most(1.8),
    "put": at_most(2.6),
    "hot": at_most(1.7),
    "spread": at_most(2.2),
    "batch-get": at_most(0.12),
}
#: CPU time of the peer's GET, in units of tallykv's.
TIMES_CHEAPER: Final = {"FastAPI": at_least(3.5), "Flask": at_least(6)}
#: From the start of the process on the embedded store to the first 200 of /readyz.
READY_SECONDS: Final = at_most(1.5)
#: CPU time of a GET with all signals on, in units of one with them off.
TAX: Final = at_most(1.15)
#: CPU time that they add to a request that asks no store, in hellos: 6 µs where one takes 28.
TAX_HELLOS: Final = at_most(0.21)
RESIDENT_MIB: Final = at_most(70)
#: A page of a million entries, in units of a page of a thousand.
LISTING: Final = at_most(2)
