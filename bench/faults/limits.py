"""What is demanded of the service through every fault; a run that finds otherwise fails."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import at_least, at_most

#: Where durability promises it.
LOST: Final = at_most(0)
DUPLICATED: Final = at_most(0)
TORN: Final = at_most(0)
#: Everywhere.
CROSSED: Final = at_most(0)
RECOVERY_SECONDS: Final = at_most(2)
LAG_P99_MS: Final = at_most(50)
#: Goodput at twice the capacity, in units of the peak.
STORM_GOODPUT: Final = at_least(0.8)
