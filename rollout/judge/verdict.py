"""From evidence to a verdict, to what the gates answer, and to one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..evidence.counts import Counts
from ..evidence.objective import Objective
from ..runner.decisions import Reason
from ..runner.reasons import explain_hold
from .engine import AGAINST, Values

#: Verdicts with which a release may get more requests, or all.
MAY_ADVANCE: Final = frozenset({Reason.GOOD, Reason.NOT_PROVEN})
#: Every verdict.
VERDICTS: Final = (
    *AGAINST,
    Reason.NO_DATA,
    Reason.OUTAGE,
    Reason.MISMATCH,
    Reason.GOOD,
    Reason.NOT_PROVEN,
)


class Gate(StrEnum):
    """A question of another controller: may the canary get more, get all, or must it go back."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict depends on; ages in seconds by Prometheus' clock, None if there is no data.

    ``share`` is the canary's constant share of the requests, None if it is unknown or changes.
    ``both_fail`` is True if both releases failed many of their latest requests. ``problem`` says
    why the counters can't be read now, empty if they can.
    """

    values: Values
    objective: Objective
    stale_seconds: float
    share: float | None
    stable_age: float | None
    canary_age: float | None
    both_fail: bool
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fixed word (see ``runner.decisions.Reason``), and a sentence for people."""

    word: Reason
    sentence: str

    def opens(self, gate: Gate) -> bool:
        """Return True if a gate says yes."""
        if gate is Gate.ROLLBACK:
            return self.word in AGAINST
        return self.word in MAY_ADVANCE if gate is Gate.ADVANCE else self.word is Reason.GOOD

    @property
    def gates(self) -> Mapping[str, bool]:
        return {gate.value: self.opens(gate) for gate in Gate}


def judge(facts: Facts) -> Verdict:
    """Return the verdict; the first matching rule wins.

    What is proven against a release stays true without data. What is proven for it does not suffice
    then: whatever happens now is not seen.
    """
    values = facts.values
    if values.against is not None:
        return Verdict(values.against, _describe_harm(values.against, facts))
    if missing := _missing_data(facts):
        return Verdict(Reason.NO_DATA, missing)
    if facts.both_fail:
        return Verdict(Reason.OUTAGE, explain_hold(Reason.OUTAGE))
    if values.mismatched:
        return Verdict(Reason.MISMATCH, explain_hold(Reason.MISMATCH))
    if values.proven:
        return Verdict(
            Reason.GOOD, "the canary meets the objective and is not worse than the stable release"
        )
    return Verdict(Reason.NOT_PROVEN, _describe_missing_proof(facts))


def _missing_data(facts: Facts) -> str:
    if facts.problem:
        return facts.problem
    ages = {"stable": facts.stable_age, "canary": facts.canary_age}
    # With all requests on one release, the other one has none.
    if facts.share == 1:
        del ages["stable"]
    elif facts.share == 0:
        del ages["canary"]
    for arm, age in ages.items():
        if age is None:
            return f"no request of the {arm} release was counted yet"
        if age > facts.stale_seconds:
            return (
                f"no request of the {arm} release was counted for {age:.0f} s, more than"
                f" {facts.stale_seconds:.0f} s"
            )
    return ""


def _describe_harm(word: Reason, facts: Facts) -> str:
    values = facts.values
    stable, canary = values.stable, values.canary
    if word is Reason.BREACH:
        allowed = _percent(facts.objective.error_ratio)
        return f"the canary fails more than {allowed} of its requests, with all traffic"
    if word is Reason.SILENT:
        return "the canary gives no successful answer, and the stable release gives some"
    if word is Reason.SLOWER:
        return "with all traffic, the canary is slower than the stable release was"
    if values.worst == "errors":
        return (
            "the canary fails more of its requests than the stable release does:"
            f" {_ratio_of(canary)} against {_ratio_of(stable)}"
        )
    if values.worst == "slowing":
        return "the canary has become slower than it was, beside the stable release"
    limit = values.worst.removesuffix("s")
    return f"more of the canary's requests take over {limit} s than of the stable release's"


def _describe_missing_proof(facts: Facts) -> str:
    needed = facts.values.requests_needed
    if needed == 0:
        return explain_hold(Reason.SUSPECT)
    if needed is None:
        return (
            f"nothing shows that the canary is worse, but it failed"
            f" {_ratio_of(facts.values.canary)} of its requests, and the objective allows"
            f" {_percent(facts.objective.error_ratio)}"
        )
    return (
        "nothing shows that the canary is worse; a proof that it meets the objective takes about"
        f" {needed:,} more of its requests"
    )


def _ratio_of(counts: Counts) -> str:
    return _percent(counts.failures / counts.requests if counts.requests else 0.0)


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"
