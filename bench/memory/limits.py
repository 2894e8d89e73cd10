"""What the service must keep while 64 clients send or ask for as much as they may."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_most

#: The most resident memory over that of the idle service.
PEAK_MIB: Final = at_most(256)
#: The 99th percentile of the latency of another client's small GETs meanwhile.
PROBE_P99_MS: Final = at_most(250)
#: The memory afterwards, over that of the idle service.
LEFT_PERCENT: Final = at_most(20)
#: A small request is never refused.
PROBES_REFUSED: Final = at_most(0)
