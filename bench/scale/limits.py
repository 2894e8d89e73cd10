"""What growth may cost at most. All limits are on ratios of CPU time, or of rates."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_most

#: Rate of N workers on N cores ÷ that of one worker on one core, ÷ N.
EACH_WORKER: Final = 0.9
#: Memory of an idle connection: 100 MiB for 10,000.
IDLE_KIB: Final = 10.24
#: CPU time of a request ÷ that at the point before, with a tenth or a hundredth of the keys.
MORE_KEYS: Final = at_most(1.5)
#: The same with a tenth of the connections. With more of them requests share round trips.
MORE_CONNECTIONS: Final = at_most(1.5)
#: The same with values of a tenth of the size, by size in bytes.
LARGER_VALUES: Final = {
    1024: at_most(1.5),
    10_240: at_most(1.75),
    102_400: at_most(4),
    1_048_576: at_most(12),
}
