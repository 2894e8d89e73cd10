"""Statistical evidence about a canary, from counts of requests, valid at every look.

May import: nothing of this project. Pure.

``Evidence`` runs sequential tests. Each has an e-value: a number >= 0, 1 at the start, whose
expected value never exceeds 1 while the null hypothesis is true.

========  ===================================  =================================  ================
test      null hypothesis                      alternative hypothesis             in the field
========  ===================================  =================================  ================
harm      within a window, the canary's odds   its odds are higher: more of its   canary analysis:
          of a failed or slow request are at   requests fail or are slow          canary worse
          most a margin times stable's                                            than baseline
merit     the canary fails at least            it fails fewer                     SLO met
          ``error_ratio`` of its requests
breach    with all traffic, the canary fails   it fails more                      SLO violation
          at most ``error_ratio``
slower    with all traffic, it is as fast as   it is slower
          stable was before
mismatch  requests are split as the weights    they are split differently         sample-ratio
          say                                                                     mismatch (SRM)
========  ===================================  =================================  ================

Theorem (Ville 1939): an e-value that starts at 1 ever reaches 1/a with a probability of at most a,
if the null hypothesis is true. So it may be compared with 1/a after every window, and testing may
stop at any time.

Assumptions: no request is counted in two windows. Within a window, requests are independent, or
their failures come from causes of which each fails at most what ``incident`` allows, or the old
release's failures vary from window to window as much as the canary's (``dispersion``). Whether a
request fails depends on its arm only through the release that answers it, up to the margin.
Failure rates, weights and load may change from window to window, so an outage that hits both
releases is not evidence of harm. Both arms are counted over the same time, see ``windows``. For
merit and breach, given all that was counted before, each request fails with a probability that
the null hypothesis allows. For slower, what both releases share is slow for no longer than
``alone.SPELL_SECONDS``.
"""

from .evidence import Evidence
from .objective import Objective

__all__ = ["Evidence", "Objective"]
