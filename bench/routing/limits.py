"""The limits of ``make routing``."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_least, at_most

FIFTY_SECONDS: Final = at_most(10.0)
FIVE_HUNDRED_SECONDS: Final = at_most(40.0)
#: Of tests of 90/10, in percent: passed at 90/10, and failed at 80/20.
SURE: Final = at_least(99.9)
NONE: Final = at_most(0)
#: Lines of ``diff`` between two steps of the canary.
ONE_LINE: Final = at_most(1)
LARGE_SECONDS: Final = at_most(20.0)
