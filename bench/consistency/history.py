"""The history of a run: all operations of all clients, by counter and by entry. Pure.

The value of a write names its key and its writer, so that a value in a wrong place shows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from .linearizability import Operation

#: Applied, not applied, or either.
Outcome = Literal["acknowledged", "refused", "unknown"]


def value_of(key: str, writer: str, number: int) -> str:
    """Return the value of a write. No two writes have the same one."""
    return f"{key}|{writer}|{number}"


def key_of(value: str) -> str:
    return value.partition("|")[0]


@dataclass(slots=True)
class CounterHistory:
    """The increments of one counter, each by 1."""

    #: Whether each increment is retried with one idempotency key until it is acknowledged.
    keyed: bool = False
    acknowledged: int = 0
    unknown: int = 0
    #: How often each value was the answer to an acknowledged increment.
    values: Counter[int] = field(default_factory=Counter)


@dataclass
class History:
    """What clients sent and received."""

    counters: dict[str, CounterHistory] = field(default_factory=dict)
    entries: dict[str, list[Operation]] = field(default_factory=dict)
    #: Values by ETag, from answers that contained both.
    values: dict[str, str] = field(default_factory=dict)
    #: When each request returned, and whether it was answered as without a fault.
    returns: list[tuple[float, bool]] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    #: Values of refused writes, which no read may return.
    refused: set[str] = field(default_factory=set)
    #: Descriptions of answers that no fault excuses.
    unexpected: list[str] = field(default_factory=list)

    def counter(self, name: str, *, keyed: bool = False) -> CounterHistory:
        return self.counters.setdefault(name, CounterHistory(keyed))

    def add(self, key: str, operation: Operation) -> None:
        self.entries.setdefault(key, []).append(operation)

    def operations(self, key: str) -> list[Operation]:
        """Return the operations on an entry, with the values that ETags stand for."""
        return [self._with_value(each) for each in self.entries.get(key, ())]

    def _with_value(self, operation: Operation) -> Operation:
        if operation.etag is None:
            return operation
        value = self.values.get(operation.etag)
        return replace(operation, value=value, is_seen=value is not None)
