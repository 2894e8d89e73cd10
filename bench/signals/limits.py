"""What is demanded of the signals; a run that finds otherwise fails."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import at_least, at_most

NONE: Final = at_most(0)
#: Percent.
ALL: Final = at_least(100)

#: Series added by clients that make things up.
ADDED_SERIES: Final = at_most(40)
TOTAL_SERIES: Final = at_most(1500)
METRICS_KB: Final = at_most(250)
SCRAPE_BLOCKS_MS: Final = at_most(20)

EXIT_SECONDS: Final = at_most(10)

#: Latency and CPU time with a collector that hangs, in units of those with one that answers.
BLACK_HOLE: Final = at_most(1.05)
QUEUE_DROPS: Final = at_least(1)
#: OTEL_BSP_MAX_QUEUE_SIZE, by default.
QUEUE_HOLDS: Final = at_most(2048)
RSS_GROWTH_MIB: Final = at_most(20)
