"""How much is measured, and the limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.faults.experiment import Sizes as FaultSizes
from bench.frame.rows import at_most

#: From a change that was acknowledged, or from the end of the fault, until every watcher knows it.
LATE_SECONDS: Final = at_most(1.0)
REVERSED: Final = at_most(0)
WRONG_AT_THE_END: Final = at_most(0)
IDLE_PERCENT: Final = at_most(5)
FAN_OUT_MS: Final = at_most(100)
#: CPU time of a GET while nobody watches, beside the code before watches.
UNWATCHED_RATIO: Final = at_most(1.02)
TRACKING: Final = at_most(0)


@dataclass(frozen=True, kw_only=True)
class Sizes(FaultSizes):
    watchers: int = 1000
    idle_seconds: float = 20.0
    changes: int = 50
    #: Of GETs, each with new processes.
    rounds: int = 3
    #: A checkout of the code before watches; "": there is none to compare with.
    before: str = ""
