"""How much a resource may grow, from the first third of the time to the last."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_most

#: The noise of the allocator. In ten minutes, a leak of 20 bytes a request shows as more.
RESIDENT_MIB: Final = at_most(4)
#: In less time than this the service still warms up.
SHORT_MINUTES: Final = 5.0
RESIDENT_MIB_IN_SHORT: Final = at_most(10)
#: A connection or two come and go.
DESCRIPTORS: Final = at_most(4)
TASKS: Final = at_most(4)
#: One more status of one route.
SERIES: Final = at_most(12)
VIOLATIONS: Final = at_most(0)
