"""Requests of some seconds as arrays: who sent each, who answered it, and how. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rollout.evidence.counts import Arm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: The index of an arm in arrays.
ARMS: Final = (Arm.STABLE, Arm.BASELINE, Arm.CANARY, Arm.NEITHER)
STABLE, BASELINE, CANARY, NEITHER = range(len(ARMS))
#: No counter ever counts the request.
NOWHERE: Final = -1


@dataclass(slots=True)
class Requests:
    """One element for each request; ``start`` (Unix seconds) need not be in order.

    ``arm`` is the one that the routes chose, ``counted`` the one under which it is counted.
    """

    start: Floats
    seconds: Floats
    failed: Bools
    arm: Ints
    counted: Ints
    user: Ints
    pod: Ints
    proxy: Ints

    def __len__(self) -> int:
        return len(self.start)

    @property
    def done(self) -> Floats:
        """When each is answered, and so counted."""
        return self.start + self.seconds

    def chosen(self, which: Bools | Ints) -> Requests:
        return Requests(*(getattr(self, each.name)[which] for each in fields(self)))

    def append(self, more: Requests) -> None:
        for each in fields(self):
            both: Any = np.concatenate((getattr(self, each.name), getattr(more, each.name)))
            setattr(self, each.name, both)
