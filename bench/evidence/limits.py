"""What is demanded of the evidence; a run that finds otherwise fails."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import at_least, at_most

NONE: Final = at_most(0)
ALL: Final = at_least(100)

#: Percent of innocent releases rolled back, and what it may be at most with 95 % confidence.
FALSE_ROLLBACKS: Final = at_most(1)
FALSE_ROLLBACKS_BOUND: Final = at_most(1.5)
#: The same of the split; and of a split that drifts to three times the desired one.
FALSE_MISMATCHES_BOUND: Final = at_most(0.5)
MISMATCHES_SEEN: Final = at_least(95)
#: Percent that a test with fixed weights rolls back where shares drift: it must be seen to fail.
FIXED_WEIGHTS_FAIL: Final = at_least(5)

#: Failed requests of the canary before it is rolled back, medians.
FAILED_AT_5_PERCENT: Final = at_most(10)
FAILED_AT_100_PERCENT: Final = at_most(40)
#: The replica is Flagger's algorithm only if it does as Flagger does; at most as bad as this.
FLAGGER_FAILED_AT_5_PERCENT: Final = at_least(80)
FLAGGER_FAILED_AT_100_PERCENT: Final = at_least(1_700)
#: 98 % where each minute has exactly as many requests as the weight says; 95 % with arrivals that
#: vary, as three failures in 299 are one too many (both from the binomials).
FLAGGER_PROMOTES: Final = at_least(90)

REGRESSIONS_CAUGHT: Final = at_least(95)
REGRESSION_REQUESTS: Final = at_most(1_500)

#: Percent of releases at twice the objective that are promoted, with 95 % confidence.
FALSE_PROMOTIONS_BOUND: Final = at_most(5)
CLEAN_PROMOTED: Final = at_least(99)
FEWEST_REQUESTS: Final = at_least(299)

SLOW_CAUGHT: Final = at_least(95)

#: Between the running sums and a recomputation from all windows; of logarithms.
RECOMPUTED: Final = at_most(1e-9)
