"""Short notations for operations, and a check of their history."""

from __future__ import annotations

from bench.consistency.checker import FinalState, Verdict, check
from bench.consistency.history import History
from bench.consistency.linearizability import Operation

KEY = "k"


def a(number: int) -> str:
    """Return a value of the key."""
    return f"{KEY}|w|{number}"


def read(called: float, returned: float, value: str | None) -> Operation:
    return Operation("read", called, returned, value)


def write(called: float, returned: float | None, value: str | None) -> Operation:
    return Operation("write", called, returned or called, value, is_known=returned is not None)


def cas(called: float, returned: float | None, expected: str | None, value: str) -> Operation:
    return Operation(
        "cas", called, returned or called, value, expected, is_known=returned is not None
    )


def failed_cas(
    called: float, returned: float, expected: str | None, seen: str | None = None
) -> Operation:
    return Operation("failed cas", called, returned, seen, expected, is_seen=seen is not None)


def check_entry(*operations: Operation, ends_with: str | None) -> Verdict:
    history = History(entries={KEY: [*operations]})
    return check(history, FinalState({}, {KEY: ends_with}))
