"""What the evidence must keep in simulated rollouts. Ratios are in percent."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_least, at_most

NONE: Final = at_most(0)
ALL: Final = at_least(100)

#: Good releases that are rolled back, and the 95 % confidence bound of that ratio.
FALSE_ROLLBACKS: Final = at_most(1)
FALSE_ROLLBACKS_BOUND: Final = at_most(1.5)
#: The same bound for false sample-ratio mismatches.
FALSE_MISMATCHES_BOUND: Final = at_most(0.5)
#: Mismatches found where the share drifts to three times the desired one.
MISMATCHES_FOUND: Final = at_least(95)
#: Rollbacks by a test with fixed weights where the share drifts. It must be seen to fail.
FIXED_WEIGHTS_FAIL: Final = at_least(5)

#: Failed requests of the canary before it is rolled back, medians.
FAILED_AT_5_PERCENT: Final = at_most(10)
FAILED_AT_100_PERCENT: Final = at_most(40)
#: Those of the replica of Flagger, which must be as late as Flagger is.
FLAGGER_FAILED_AT_5_PERCENT: Final = at_least(80)
FLAGGER_FAILED_AT_100_PERCENT: Final = at_least(1_700)
#: 98 % where each minute has exactly as many requests as the weight says. 95 % with Poisson
#: arrivals, because three failures in 299 requests are one too many (both from the binomials).
FLAGGER_PROMOTES: Final = at_least(90)

REGRESSIONS_CAUGHT: Final = at_least(95)
REGRESSION_REQUESTS: Final = at_most(1_500)

#: Releases with twice the errors of the objective that are promoted, 95 % confidence bound.
FALSE_PROMOTIONS_BOUND: Final = at_most(5)
CLEAN_PROMOTED: Final = at_least(99)
FEWEST_REQUESTS: Final = at_least(299)

SLOW_CAUGHT: Final = at_least(95)

#: Distance of the running e-values from a recomputation from all windows, of logarithms.
RECOMPUTED: Final = at_most(1e-9)
