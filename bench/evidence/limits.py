"""What rollouts in simulated worlds must keep. Ratios are in percent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.frame.rows import at_least, at_most

NONE: Final = at_most(0)
ALL: Final = at_least(100)

#: Good releases that are rolled back, the 95 % confidence bound of that, and inconclusive ones.
FALSE_ROLLBACKS: Final = at_most(1)
FALSE_ROLLBACKS_BOUND: Final = at_most(2)
INCONCLUSIVE: Final = at_most(5)
#: The same in the short form, for all worlds of a part together: of 3 rollouts or more, two
#: rollbacks have a probability of 3 in 10,000 where one in a hundred is rolled back.
GROSS_ROLLBACKS: Final = at_most(34)
GROSS_INCONCLUSIVE: Final = at_most(40)
#: What must be caught, or promoted, in the short form: two of three.
MOST: Final = at_least(60)

#: Worlds in which a limit does not hold. Their figures are shown, without a verdict, with why.
NOT_COVERED: Final[Mapping[str, str]] = {
    # Clients may stick to a release. With 1 % of 500 clients, a good canary has none in one
    # rollout of 150, and one or two, who pause for long, in one of eight.
    "gone, app, at 1 %": "ten requests in 20 s, and pods are read late",
    "hanging, istio, at 1 %": "ten requests in 20 s are few: a good canary may have none",
    "hanging, app, at 1 %": "ten requests in 20 s, and pods are read late",
    "outage after the flip, blue/green": "nothing is left to compare: let a step keep 2 %",
    "outage after the flip, blue/green, baseline": "nothing is left to compare, as without",
    "25 % slower": "a pod that is a quarter slower by chance looks the same",
}
#: Worlds that may end without a verdict: what the routes say is not what happens.
MAY_BE_INCONCLUSIVE: Final = frozenset({"sticky clients: the share grows threefold"})

#: A canary that is silent: within three scrapes and ten seconds.
SILENCE_SCRAPES: Final = 3
SILENCE_SECONDS: Final = 10.0
#: A canary that fails everything, in scrapes of the slower target.
SCRAPES_UNTIL_OUT: Final = at_most(4)
#: The time with proxies that are replaced, in times without.
REPLACED_PROXIES: Final = at_most(1.5)

#: Failed requests of the canary before it is rolled back, medians.
FAILED_AT_5_PERCENT: Final = at_most(12)
FAILED_AT_100_PERCENT: Final = at_most(40)

REGRESSIONS_CAUGHT: Final = at_least(90)
SLOW_CAUGHT: Final = at_least(95)
LATE_SECONDS: Final = at_most(300)
FLAPPING_PROMOTED: Final = at_most(5)

#: Releases with twice the errors of the objective that are promoted, 95 % confidence bound.
FALSE_PROMOTIONS_BOUND: Final = at_most(5)
CLEAN_PROMOTED: Final = at_least(99)
#: The median of a harmless rollout in July 2026's version: all steps of a minute, none longer.
TODAY_SECONDS: Final = 420.0
TIMES_TODAY: Final = at_most(1.5)
