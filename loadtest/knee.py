"""The search for the knee: more and more users until the objective breaks. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from .latencies import percentile
from .thresholds import Demands, Measured, Verdict, judge

HEADS: Final = ("users", "requests/s", "p50 ms", "p99 ms", "error ratio", "objective")
GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the search, and why it broke the objective, if it did."""

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
    """Steps of GROWTH from ``first`` users to ``most`` at the utmost, until one breaks ``demands``.

    The knee is the last step that kept them. A step without requests breaks them.
    """

    demands: Demands
    first: int
    most: int
    rungs: list[Rung] = field(default_factory=list)

    @property
    def users(self) -> int | None:
        """Return the users of the step to make, None when the search is over."""
        if not self.rungs:
            return min(self.first, self.most)
        last = self.rungs[-1]
        if last.broken or last.users >= self.most:
            return None
        return min(self.most, math.ceil(last.users * GROWTH))

    def add(self, measured: Measured) -> None:
        """Note what the step's users measured."""
        users = self.users
        if users is None:
            raise ValueError("the search is over")
        # Latency and errors make the objective; a rate is demanded of the knee, not of each step.
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
        self.rungs.append(Rung(users, measured, broken))

    @property
    def knee(self) -> Rung | None:
        """Return the last step that kept the objective, once one broke it; None otherwise."""
        if len(self.rungs) < 2 or not self.rungs[-1].broken:
            return None
        return self.rungs[-2]

    def describe(self) -> str:
        """Return what was found, as a line."""
        if not self.rungs:
            return "knee: not looked for"
        last = self.rungs[-1]
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
        """Return verdicts: that there is a knee, and that its rate is what is demanded."""
        rate = self.knee.measured.rate if self.knee else 0.0
        verdicts = [Verdict("knees found", 1 if self.knee else 0, 1, at_least=True)]
        if (bound := self.demands.requests_per_second) is not None:
            verdicts.append(Verdict("knee requests_per_second", rate, bound, at_least=True))
        return verdicts
