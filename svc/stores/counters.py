"""Operations on counters in Redis. A counter is a plain integer, changed by INCRBY.

Preconditions are compared in scripts, atomically with the change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..domain.errors import (
    CounterBound,
    CounterMissing,
    CounterOverflow,
    DomainError,
    PreconditionFailed,
)
from ..domain.model import (
    Added,
    Counter,
    CounterName,
    CounterSummary,
    Increment,
    Operation,
    Page,
    Precondition,
    counter_etag,
)
from . import entry_codec, listing, scripts
from .access import RedisAccess, idempotency_mismatch, ttl_argument
from .names import counter_name
from .redis_errors import checked, domain_error_of

#: The ETags of counters. All others match none.
_ETAG: Final = re.compile(r'"(0|-?[1-9][0-9]{0,18})"')


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
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None,
        precondition: Precondition | None,
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
            *_precondition_arguments(precondition),
        )
        if outcome == b"ok":
            value = int(after)
            return Added(value, value - int(before), bool(replayed))
        raise _refusal(outcome, after).recorded(replayed)

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
        precondition: Precondition | None = None,
    ) -> tuple[int | None, bool]:
        replayed, outcome, previous = await self.call(
            scripts.SET_COUNTER,
            counter_name(name),
            self.operation_keys(name.text, operation),
            value,
            ttl_argument(ttl_seconds),
            *self.record_arguments(operation),
            *_precondition_arguments(precondition),
        )
        if outcome == b"reused":
            raise idempotency_mismatch()
        if outcome == b"refused":
            raise _refusal(outcome, previous).recorded(replayed)
        return (listing.parse_counter(previous) if previous else None), bool(replayed)

    async def delete_counter(
        self,
        name: CounterName,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> bool:
        replayed, outcome, current = await self.call(
            scripts.DELETE_COUNTER,
            counter_name(name),
            self.operation_keys(name.text, operation),
            *self.record_arguments(operation),
            *_precondition_arguments(precondition),
        )
        if outcome == b"deleted":
            return bool(replayed)
        raise _refusal(outcome, current).recorded(replayed)

    async def list_counters(
        self, prefix: str, limit: int, cursor: str | None, within: tuple[str, ...] = ()
    ) -> Page[CounterSummary]:
        return await listing.list_counters(
            self.link, prefix, limit, cursor, self.deadline(), within
        )


def _precondition_arguments(precondition: Precondition | None) -> tuple[bytes, bytes]:
    """Return the scripts' arguments If-Match and If-None-Match: see add.lua."""
    if precondition is None:
        return b"-", b"-"
    return _value_list(precondition.if_match), _value_list(precondition.if_none_match)


def _value_list(etags: tuple[str, ...] | None) -> bytes:
    if etags is None:
        return b"-"
    if etags == ("*",):
        return b"*"
    values = [found[1] for found in map(_ETAG.fullmatch, etags) if found is not None]
    return f",{','.join(values)},".encode()


def _refusal(outcome: bytes, current: bytes) -> DomainError:
    """Return the error for the outcome of a script that changed nothing.

    ``current`` are the counter's digits, b"" if there is no counter.
    """
    if outcome == b"refused":
        if not current:
            return PreconditionFailed(None, "the counter does not exist")
        etag = counter_etag(listing.parse_counter(current))
        return PreconditionFailed(etag, f"the counter's current ETag is {etag}")
    if outcome == b"missing":
        return CounterMissing()
    if outcome == b"reused":
        return idempotency_mismatch()
    return CounterBound() if outcome == b"bound" else CounterOverflow()
