"""The limits of lint."""

from __future__ import annotations

from typing import Final

from bench.frame.rows import at_most

LINT_SECONDS: Final = at_most(8.0)
LINT_MIB: Final = at_most(250.0)
#: Of five times the objects, in units of five times the time: 1 is linear.
GROWTH: Final = at_most(1.3)
START_SECONDS: Final = at_most(0.4)
