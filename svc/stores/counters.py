"""Counters in Redis: plain integers, stepped by INCRBY or a script."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.errors import CounterBound, CounterMissing, CounterOverflow, DomainError
from ..domain.model import (
    Added,
    Counter,
    CounterName,
    CounterSummary,
    Increment,
    Operation,
    Page,
)
from . import listing, record, scripts
from .access import RedisAccess, milliseconds, reused
from .names import counter_name
from .refusals import checked, failure_of


class RedisCounters(RedisAccess):
    """The port's operations on counters, but for the single plain ones."""

    async def read_counter(self, name: CounterName) -> Counter:
        stored = counter_name(name)
        value, left = await self.execute([("GET", stored), ("PTTL", stored)], repeatable=True)
        if checked(value, changing=False) is None:
            raise CounterMissing
        left = checked(left, changing=False)
        if left == listing.GONE:  # expired between the two answers
            raise CounterMissing
        return Counter(
            listing.integer_of(value), record.remaining_seconds(left, 0) if left >= 0 else None
        )

    async def step(
        self, name: CounterName, increment: Increment, operation: Operation | None
    ) -> Added:
        """Step one counter with all that a step may ask; the port's ``add`` in one round trip."""
        replayed, outcome, before, after = await self.call(
            scripts.ADD,
            counter_name(name),
            self.operation_keys(name.text, operation),
            increment.by,
            b"" if increment.minimum is None else increment.minimum,
            b"" if increment.maximum is None else increment.maximum,
            b"1" if increment.clamp else b"0",
            milliseconds(increment.ttl_seconds),
            b"1" if increment.touch else b"0",
            *self.record_of(operation),
        )
        if outcome == b"ok":
            value = int(after)
            return Added(value, value - int(before), bool(replayed))
        refusal: DomainError
        if outcome == b"reused":
            refusal = reused()
        else:
            refusal = CounterBound() if outcome == b"bound" else CounterOverflow()
        refusal.replayed = bool(replayed)
        raise refusal

    async def add_many(
        self, steps: Sequence[tuple[CounterName, int]], deadline: float | None = None
    ) -> list[Added | DomainError]:
        names = [counter_name(name) for name, _ in steps]
        replies = await self.execute_groups(
            names,
            lambda group: (
                scripts.ADD_MANY,
                len(group),
                *[names[i] for i in group],
                *[steps[i][1] for i in group],
            ),
            deadline,
        )
        outcomes: list[Added | DomainError] = [CounterOverflow()] * len(steps)
        for group, reply in replies:
            values = [reply] * len(group) if isinstance(reply, Exception) else reply
            for i, value in zip(group, values, strict=True):
                if isinstance(value, Exception):
                    outcomes[i] = failure_of(value, changing=True)
                else:
                    outcomes[i] = Added(int(value), steps[i][1])
        return outcomes

    async def set_counter(
        self,
        name: CounterName,
        value: int,
        ttl_seconds: int | None,
        operation: Operation | None = None,
    ) -> tuple[int | None, bool]:
        replayed, outcome, previous = await self.call(
            scripts.SET_COUNTER,
            counter_name(name),
            self.operation_keys(name.text, operation),
            value,
            milliseconds(ttl_seconds),
            *self.record_of(operation),
        )
        if outcome == b"reused":
            raise reused()
        return (listing.integer_of(previous) if previous else None), bool(replayed)

    async def delete_counter(self, name: CounterName, operation: Operation | None = None) -> bool:
        replayed, outcome = await self.call(
            scripts.DELETE_COUNTER,
            counter_name(name),
            self.operation_keys(name.text, operation),
            *self.record_of(operation),
        )
        if outcome == b"deleted":
            return bool(replayed)
        refusal: DomainError = CounterMissing() if outcome == b"missing" else reused()
        refusal.replayed = bool(replayed)
        raise refusal

    async def list_counters(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Page[CounterSummary]:
        return await listing.list_counters(self.link, prefix, limit, cursor, self.deadline())
