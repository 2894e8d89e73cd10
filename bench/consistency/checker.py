"""Compares a history with the final state of the store. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .history import CounterHistory, History, key_of
from .linearizability import Operation, is_linearizable


@dataclass(frozen=True, slots=True)
class FinalState:
    """What the store holds at the end. A missing counter is 0, a missing entry None."""

    counters: Mapping[str, int]
    entries: Mapping[str, str | None]


@dataclass(slots=True)
class Verdict:
    """Requests by outcome, and violations by kind."""

    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    #: Acknowledged changes that are missing.
    lost: int = 0
    #: Increments that nobody made, or that were applied twice.
    duplicated: int = 0
    #: Values of another key, refused changes that were applied, answers that no fault excuses.
    unexpected: int = 0
    #: Entries and counters whose answers no order of the operations explains.
    nonlinearizable: int = 0
    #: Descriptions of the violations.
    reasons: list[str] = field(default_factory=list)

    @property
    def violations(self) -> int:
        return self.lost + self.duplicated + self.unexpected + self.nonlinearizable


def check(history: History, final: FinalState) -> Verdict:
    """Return the verdict on a history; raise linearizability.Undecided."""
    verdict = Verdict(
        acknowledged=history.outcomes["acknowledged"],
        refused=history.outcomes["refused"],
        unknown=history.outcomes["unknown"],
        unexpected=len(history.unexpected),
        reasons=history.unexpected[:3],
    )
    for name, counter in history.counters.items():
        _check_counter(verdict, name, counter, final.counters.get(name, 0))
    for key in history.entries:
        _check_entry(verdict, history, key, final.entries.get(key))
    return verdict


def _check_counter(verdict: Verdict, name: str, counter: CounterHistory, value: int) -> None:
    """With n acknowledged and u unknown increments of 1, the value is n to n + u."""
    lost = max(0, counter.acknowledged - value)
    duplicated = max(0, value - counter.acknowledged - counter.unknown)
    verdict.lost += lost
    verdict.duplicated += duplicated
    if lost or duplicated:
        verdict.reasons.append(
            f"{name} holds {value}, after {counter.acknowledged} acknowledged and"
            f" {counter.unknown} unknown increments"
        )
    # Each increment has an answer of its own.
    if repeated := [answer for answer, times in counter.values.items() if times > 1]:
        verdict.nonlinearizable += 1
        verdict.reasons.append(f"{name}: two increments were answered {repeated[0]}")


def _check_entry(verdict: Verdict, history: History, key: str, value: str | None) -> None:
    operations = history.operations(key)
    # The final state is read after all operations. An unknown one has been called by then.
    end = max(each.returned if each.is_known else each.called for each in operations)
    read = {
        each.value for each in operations if each.kind in {"read", "failed cas"} and each.is_seen
    }
    for found in {*read, value} - {None}:
        if key_of(str(found)) != key:
            verdict.unexpected += 1
            verdict.reasons.append(f"{key} returned {found}, the value of another key")
        elif found in history.refused:
            verdict.unexpected += 1
            verdict.reasons.append(f"{key} returned {found}, whose write was refused")
    if is_linearizable([*operations, Operation("read", end, end, value)]):
        return
    lost = _count_lost_writes(operations, value)
    verdict.lost += lost
    if lost:
        verdict.reasons.append(f"{key} ends with {value}, {lost} acknowledged writes later")
    # Without the final read, the history may be linearizable.
    if not lost or not is_linearizable(operations):
        verdict.nonlinearizable += 1
        verdict.reasons.append(f"{key}: no order of the operations explains the answers")


def _count_lost_writes(operations: list[Operation], value: str | None) -> int:
    """Count the acknowledged changes that were called after the last one took effect."""
    changes = [each for each in operations if each.kind in {"write", "cas"}]
    last = next((each for each in changes if each.value == value), None)
    if last is not None and not last.is_known:
        # It may have been applied after all others.
        return 0
    after = float("-inf") if last is None else last.returned
    return sum(each.is_known and each.called >= after for each in changes)
