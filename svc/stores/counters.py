"""Operations on counters in Redis. A counter is a plain integer, changed by INCRBY."""

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
from . import entry_codec, listing, scripts
from .access import RedisAccess, idempotency_mismatch, ttl_argument
from .names import counter_name
from .redis_errors import checked, domain_error_of


class RedisCounters(RedisAccess):
    """The Store port's operations on counters, except ``add``: see redis.py."""

    async def read_counter(self, name: CounterName) -> Counter:
        stored = counter_name(name)
        value, left = await self.execute([("GET", stored), ("PTTL", stored)], repeatable=True)
        if checked(value, changing=False) is None:
            raise CounterMissing
        left = checked(left, changing=False)
        if left == listing.GONE:  # expired between the two replies
            raise CounterMissing
        ttl_seconds = entry_codec.remaining_seconds(left, 0) if left >= 0 else None
        return Counter(listing.parse_counter(value), ttl_seconds)

    async def increment(
        self, name: CounterName, increment: Increment, operation: Operation | None
    ) -> Added:
        """Add to one counter, with bounds, TTL and operation record, in one round trip."""
        replayed, outcome, before, after = await self.call(
            scripts.ADD,
            counter_name(name),
            self.operation_keys(name.text, operation),
            increment.by,
            b"" if increment.minimum is None else increment.minimum,
            b"" if increment.maximum is None else increment.maximum,
            b"1" if increment.clamp else b"0",
            ttl_argument(increment.ttl_seconds),
            b"1" if increment.touch else b"0",
            *self.record_arguments(operation),
        )
        if outcome == b"ok":
            value = int(after)
            return Added(value, value - int(before), bool(replayed))
        raise _refusal(outcome).recorded(replayed)

    async def add_many(
        self, increments: Sequence[tuple[CounterName, int]], deadline: float | None = None
    ) -> list[Added | DomainError]:
        names = [counter_name(name) for name, _ in increments]
        replies = await self.execute_groups(
            names,
            lambda group: (
                scripts.ADD_MANY,
                len(group),
                *[names[i] for i in group],
                *[increments[i][1] for i in group],
            ),
            deadline,
        )
        outcomes: list[Added | DomainError] = [CounterOverflow()] * len(increments)
        for group, reply in replies:
            values = [reply] * len(group) if isinstance(reply, Exception) else reply
            for i, value in zip(group, values, strict=True):
                if isinstance(value, Exception):
                    outcomes[i] = domain_error_of(value, changing=True)
                else:
                    outcomes[i] = Added(int(value), increments[i][1])
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
            ttl_argument(ttl_seconds),
            *self.record_arguments(operation),
        )
        if outcome == b"reused":
            raise idempotency_mismatch()
        return (listing.parse_counter(previous) if previous else None), bool(replayed)

    async def delete_counter(self, name: CounterName, operation: Operation | None = None) -> bool:
        replayed, outcome = await self.call(
            scripts.DELETE_COUNTER,
            counter_name(name),
            self.operation_keys(name.text, operation),
            *self.record_arguments(operation),
        )
        if outcome == b"deleted":
            return bool(replayed)
        raise _refusal(outcome).recorded(replayed)

    async def list_counters(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Page[CounterSummary]:
        return await listing.list_counters(self.link, prefix, limit, cursor, self.deadline())


def _refusal(outcome: bytes) -> DomainError:
    """Return the error for the outcome of a script that changed nothing."""
    if outcome == b"missing":
        return CounterMissing()
    if outcome == b"reused":
        return idempotency_mismatch()
    return CounterBound() if outcome == b"bound" else CounterOverflow()
