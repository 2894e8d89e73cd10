"""Histories as a few lines, for the checker to judge."""

from __future__ import annotations

from bench.consistency.checker import Final, Verdict, check
from bench.consistency.history import History
from bench.consistency.linearizability import Access

KEY = "k"


def a(number: int) -> str:
    """Return a value of the key."""
    return f"{KEY}|w|{number}"


def read(called: float, returned: float, value: str | None) -> Access:
    return Access("read", called, returned, value)


def write(called: float, returned: float | None, value: str | None) -> Access:
    return Access("write", called, returned or called, value, is_known=returned is not None)


def swap(called: float, returned: float | None, expected: str | None, value: str) -> Access:
    return Access(
        "swap", called, returned or called, value, expected, is_known=returned is not None
    )


def miss(called: float, returned: float, expected: str | None, seen: str | None = None) -> Access:
    return Access("miss", called, returned, seen, expected, is_seen=seen is not None)


def judge(*accesses: Access, ends_with: str | None) -> Verdict:
    history = History()
    for access in accesses:
        history.saw(KEY, access)
    return check(history, Final({}, {KEY: ends_with}))
