"""What growth may cost; a run that finds more fails. All are ratios of CPU time."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import at_least, at_most

#: Requests that two workers answer on two cores, in units of what one answers on one.
TWO_WORKERS: Final = at_least(1.8)
#: CPU time of a request, in units of that at the point before: ten or a hundred times the keys.
MORE_KEYS: Final = at_most(1.5)
#: The same; from one connection on it falls, because requests then travel together.
MORE_CONNECTIONS: Final = at_most(1.5)
#: The same for a value ten times as large, by its size: small ones cost little more.
LARGER_VALUES: Final = {
    1024: at_most(1.5),
    10_240: at_most(1.75),
    102_400: at_most(4),
    1_048_576: at_most(12),
}
