"""What clients were told, held against what the store holds in the end.

Pure. A verdict counts; which counts a fault may excuse is its own affair (families/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .history import History, Tally, key_of
from .linearizability import Access, is_linearizable


@dataclass(frozen=True, slots=True)
class Final:
    """What the store holds once all is over; nothing under a name is 0 or None."""

    counters: Mapping[str, int]
    entries: Mapping[str, str | None]


@dataclass(slots=True)
class Verdict:
    """How many operations went which way, and what is wrong with them."""

    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    #: Acknowledged changes that are not there.
    lost: int = 0
    #: Steps that are there and that nobody made, or that count twice.
    duplicated: int = 0
    #: Values under a foreign key, refused changes that were made, answers that no fault excuses.
    crossed: int = 0
    #: Entries and counters whose answers no order of the requests explains.
    torn: int = 0
    #: The first of each in words.
    reasons: list[str] = field(default_factory=list)


def check(history: History, final: Final) -> Verdict:
    """Judge the history; raises registers.Undecided."""
    verdict = Verdict(
        acknowledged=history.outcomes["acknowledged"],
        refused=history.outcomes["refused"],
        unknown=history.outcomes["unknown"],
        crossed=len(history.wrong),
        reasons=history.wrong[:3],
    )
    for name, tally in history.tallies.items():
        _check_counter(verdict, name, tally, final.counters.get(name, 0))
    for key in history.entries:
        _check_entry(verdict, history, key, final.entries.get(key))
    return verdict


def _check_counter(verdict: Verdict, name: str, tally: Tally, value: int) -> None:
    """Of n acknowledged and u unknown steps of 1, the counter holds n to n + u.

    A keyed step is retried until it is answered, so that u is 0 but for those given up.
    """
    lost = max(0, tally.acknowledged - value)
    more = max(0, value - tally.acknowledged - tally.unknown)
    verdict.lost += lost
    verdict.duplicated += more
    told = f"{name} holds {value}, of {tally.acknowledged} acknowledged"
    if lost or more:
        verdict.reasons.append(f"{told} and {tally.unknown} unknown steps")
    repeated = [answer for answer, times in tally.values.items() if times > 1]
    if repeated:
        # Steps of 1 have each a value of their own.
        verdict.torn += 1
        verdict.reasons.append(f"{name}: two steps were answered {repeated[0]}")


def _check_entry(verdict: Verdict, history: History, key: str, value: str | None) -> None:
    accesses = history.accesses(key)
    # The store is read after everything; what is unknown has at least begun by then.
    end = max(a.returned if a.is_known else a.called for a in accesses)
    seen = [a.value for a in accesses if a.kind in {"read", "miss"} and a.is_seen]
    for each in {*seen, value}:
        if each is None:
            continue
        if key_of(each) != key:
            verdict.crossed += 1
            verdict.reasons.append(f"{key} gave {each}, which is another's")
        elif each in history.refused:
            verdict.crossed += 1
            verdict.reasons.append(f"{key} gave {each}, whose write was refused")
    if not is_linearizable([*accesses, Access("read", end, end, value)]):
        # What is gone in the end may still have been right until then.
        lost = _lost_writes(accesses, value)
        verdict.lost += lost
        if lost:
            verdict.reasons.append(f"{key} ends with {value}, {lost} acknowledged writes later")
        if not lost or not is_linearizable(accesses):
            verdict.torn += 1
            verdict.reasons.append(f"{key}: no order of the requests explains their answers")


def _lost_writes(accesses: list[Access], value: str | None) -> int:
    """Count the acknowledged changes that began after the one that the entry ends with."""
    changes = [a for a in accesses if a.kind in {"write", "swap"}]
    last = next((a for a in changes if a.value == value), None)
    if last is not None and not last.is_known:
        # It may have been applied at any time since, after all the others too.
        return 0
    after = float("-inf") if last is None else last.returned
    return sum(a.is_known and a.called >= after for a in changes)
