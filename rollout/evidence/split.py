"""Whether requests are split as the weights say: a sample-ratio mismatch is an alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .mixture import Alternatives, Mixture, e_value

#: The largest probability of ever reporting a mismatch for a split that is as desired.
FALSE_MISMATCH: Final = 0.001
#: The ratio of requests that may go to the release which should get none.
MISROUTED_RATIO: Final = 0.002
#: So long, in seconds, a mismatch is reported after it was last found.
REMEMBERED_SECONDS: Final = 60.0

_OTHER_SPLIT: Final = Alternatives(
    math.exp(sign * 0.02 * 2**power) for power in range(9) for sign in (-1, 1)
)
_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))


class SplitTest:
    """A test that starts anew at every step, and after every alarm, so that it can forget.

    The k-th test may be wrong with a probability of FALSE_MISMATCH/(k (k + 1)); these sum to
    FALSE_MISMATCH.
    """

    def __init__(self) -> None:
        self._mismatch = Mixture(_OTHER_SPLIT)
        self._misrouted = Mixture(_WORSE)
        self._share: float | None = None
        self._tests = 1
        #: The last window, and the last one that completed an alarm; Unix seconds.
        self._at = -math.inf
        self._found_at = -math.inf
        self._found_log = 0.0

    @property
    def found(self) -> bool:
        """True if an alarm is not older than a minute."""
        return -math.inf < self._found_at and self._at <= self._found_at + REMEMBERED_SECONDS

    @property
    def e_value(self) -> float:
        """Return the e-value of the present test, or of the last alarm while it is reported."""
        return e_value(max(self._log, self._found_log) if self.found else self._log)

    @property
    def _log(self) -> float:
        one, other = self._mismatch.log, self._misrouted.log
        greatest = max(one, other)
        return greatest + math.log((math.exp(one - greatest) + math.exp(other - greatest)) / 2)

    def add(self, stable: int, canary: int, share: float, until: float) -> None:
        """Add a window: requests of both, and the canary's desired share."""
        if share != self._share and self._share is not None:
            self._begin()
        self._share, self._at = share, until
        if 0 < share < 1:
            self._mismatch.add(canary, stable + canary, share)
        else:
            # Requests that started before the weights changed end after the change. A few of them
            # are no mismatch.
            self._misrouted.add(canary if share == 0 else stable, stable + canary, MISROUTED_RATIO)
        if self._log >= math.log(self._tests * (self._tests + 1) / FALSE_MISMATCH):
            self._found_at, self._found_log = until, self._log
            self._begin()

    def _begin(self) -> None:
        self._tests += 1
        self._mismatch = Mixture(_OTHER_SPLIT)
        self._misrouted = Mixture(_WORSE)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "mismatch": self._mismatch.logs,
            "misrouted": self._misrouted.logs,
            "share": self._share,
            "tests": self._tests,
            "at": None if self._at == -math.inf else self._at,
            "found_at": None if self._found_at == -math.inf else self._found_at,
            "found_log": self._found_log,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> SplitTest:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        test = cls()
        test._mismatch = Mixture(_OTHER_SPLIT, dumped["mismatch"])
        test._misrouted = Mixture(_WORSE, dumped["misrouted"])
        test._share = dumped["share"]
        test._tests = int(dumped["tests"])
        at, found_at = dumped["at"], dumped["found_at"]
        test._at = -math.inf if at is None else float(at)
        test._found_at = -math.inf if found_at is None else float(found_at)
        test._found_log = float(dumped["found_log"])
        return test
