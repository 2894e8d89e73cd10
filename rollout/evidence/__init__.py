"""Statistical evidence about a canary, from counts of requests, valid at every look.

May import: nothing of this project. Pure.

``Evidence`` runs four sequential tests. Each has an e-value: a number >= 0, 1 at the start, whose
expected value never exceeds 1 while the null hypothesis is true.

========  ===================================  =================================  ================
test      null hypothesis                      alternative hypothesis             in the field
========  ===================================  =================================  ================
harm      within a window, the canary has no   more of its requests fail or are   canary analysis:
          larger share of failed or slow       slow than of stable's requests     canary worse
          requests than stable                 in the same window                 than baseline
merit     the canary fails at least            it fails fewer                     SLO met
          ``error_ratio`` of its requests
breach    with all traffic, the canary fails   it fails more                      SLO violation
          at most ``error_ratio``
mismatch  requests are split as the weights    they are split differently         sample-ratio
          say                                                                     mismatch (SRM)
========  ===================================  =================================  ================

By Ville's inequality (Ville 1939), an e-value that starts at 1 ever reaches 1/a with a
probability of at most a, if the null hypothesis is true. So it may be compared with 1/a after
every window, and testing may stop at any time.

Assumptions: no request is counted in two windows. Within one window, whether a request fails or is
slow depends on its arm only through the release that answers it. Failure rates, weights and load
may change from window to window, so an outage that hits both releases is not evidence of harm. A
window must not contain a change of weights, and both arms must be counted over the same time. For
merit and breach, given all that was counted before, each request fails with a probability that
the null hypothesis allows.
"""

from .evidence import Evidence
from .objective import Objective

__all__ = ["Evidence", "Objective"]
