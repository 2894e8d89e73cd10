"""What the signals must keep."""

from __future__ import annotations

from math import sqrt
from typing import Final

from bench.frame.rows import Limit, at_least, at_most

NONE: Final = at_most(0)
#: Percent.
ALL: Final = at_least(100)

#: Series that clients add with paths, methods and keys of their own.
ADDED_SERIES: Final = at_most(40)
TOTAL_SERIES: Final = at_most(1500)
METRICS_KB: Final = at_most(250)
SCRAPE_BLOCKS_MS: Final = at_most(20)

EXIT_SECONDS: Final = at_most(10)

#: Latency and CPU time with a collector that hangs ÷ with one that answers.
HANGING_COLLECTOR_RATIO: Final = at_most(1.05)
QUEUE_DROPS: Final = at_least(1)
#: OTEL_BSP_MAX_QUEUE_SIZE, by default.
QUEUE_HOLDS: Final = at_most(2048)
RSS_GROWTH_MIB: Final = at_most(20)
#: Percent of the blocks of the event loop that the lag metric shows.
BLOCKS_SHOWN: Final = at_least(100)
#: Chance exceeds this many standard deviations once in 16 000 runs.
SIGMAS: Final = 4.0


def sampling_distance(ratio: float, requests: int) -> Limit:
    """Return the limit for the distance from the ratio, in percentage points.

    With 160,000 requests and a ratio of 1 % it is 0.1.
    """
    deviation = sqrt(ratio * (1 - ratio) / requests) * 100
    return at_most(max(0.1, round(SIGMAS * deviation, 2)))
