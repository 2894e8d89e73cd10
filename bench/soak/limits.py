"""How much of anything may have come to stay, the last third of the time beside the first."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import at_most

#: The allocator's own noise; a leak of 20 bytes a request shows as more in ten minutes.
RESIDENT_MIB: Final = at_most(4)
#: In less than that the service is still getting warm.
SHORT_MINUTES: Final = 5.0
RESIDENT_MIB_IN_SHORT: Final = at_most(10)
#: A connection or two come and go.
DESCRIPTORS: Final = at_most(4)
TASKS: Final = at_most(4)
#: One more status of one route.
SERIES: Final = at_most(12)
NONE: Final = at_most(0)
