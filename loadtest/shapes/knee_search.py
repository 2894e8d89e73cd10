"""The search for the knee: more and more users until the objective breaks. Pure.

The knee is the load beyond which latency grows fast while the rate hardly grows (Jain, The Art of
Computer Systems Performance Analysis, 1991: knee capacity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from ..latencies import percentile
from ..thresholds import Demands, Measured, Verdict, judge

HEADS: Final = ("users", "requests/s", "p50 ms", "p99 ms", "error ratio", "objective")
GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the search, and the demands that it broke."""

    users: int
    measured: Measured
    broken: tuple[Verdict, ...]

    @property
    def row(self) -> tuple[str, ...]:
        found = self.measured
        return (
            str(self.users),
            f"{found.rate:.1f}",
            *(f"{percentile(found.latencies, ratio):g}" for ratio in (0.5, 0.99)),
            f"{found.error_ratio:.2%}",
            ", ".join(f"{each.what} {each.found:.4g}" for each in self.broken) or "kept",
        )


@dataclass(slots=True)
class KneeSearch:
    """Steps from ``first`` to at most ``most`` users, each GROWTH times the one before.

    The search ends with the first step that breaks ``demands``, or has no requests. The knee is
    the last step that kept them.
    """

    demands: Demands
    first: int
    most: int
    steps: list[Step] = field(default_factory=list)

    @property
    def users(self) -> int | None:
        """Return the users of the next step, None when the search is over."""
        if not self.steps:
            return min(self.first, self.most)
        last = self.steps[-1]
        if last.broken or last.users >= self.most:
            return None
        return min(self.most, math.ceil(last.users * GROWTH))

    def add(self, measured: Measured) -> None:
        """Add the measurement of a step; raise ValueError when the search is over."""
        users = self.users
        if users is None:
            raise ValueError("the search is over")
        # A rate is demanded of the knee, not of each step.
        objective = Demands(
            p50_ms=self.demands.p50_ms,
            p95_ms=self.demands.p95_ms,
            p99_ms=self.demands.p99_ms,
            error_ratio=self.demands.error_ratio,
        )
        verdicts = [
            Verdict("requests", measured.requests, 1, at_least=True),
            *judge("", objective, measured),
        ]
        broken = tuple(each for each in verdicts if not each.holds)
        self.steps.append(Step(users, measured, broken))

    @property
    def knee(self) -> Step | None:
        """Return the last step that kept the demands; None unless a later one broke them."""
        if len(self.steps) < 2 or not self.steps[-1].broken:
            return None
        return self.steps[-2]

    def describe(self) -> str:
        """Return the result in one line."""
        if not self.steps:
            return "knee: no step was measured"
        last = self.steps[-1]
        if not last.broken:
            return f"knee: none up to {last.users} users, {last.measured.rate:.0f} requests/s"
        why = ", ".join(" ".join(each.row[:3]) for each in last.broken)
        if self.knee is None:
            return f"knee: below {last.users} users: {why}"
        found = self.knee
        return (
            f"knee: {found.users} users, {found.measured.rate:.0f} requests/s,"
            f" p99 {percentile(found.measured.latencies, 0.99):g} ms;"
            f" broken at {last.users} users: {why}"
        )

    def judge(self) -> list[Verdict]:
        """Return verdicts: that there is a knee, and that its rate is as demanded."""
        rate = self.knee.measured.rate if self.knee else 0.0
        verdicts = [Verdict("knees found", 1 if self.knee else 0, 1, at_least=True)]
        if (bound := self.demands.requests_per_second) is not None:
            verdicts.append(Verdict("knee requests_per_second", rate, bound, at_least=True))
        return verdicts
