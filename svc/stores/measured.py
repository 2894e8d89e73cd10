"""A Store that counts the results of another Store's operations, and records their spans."""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ..domain.errors import (
    CounterBound,
    CounterMissing,
    CounterOverflow,
    CursorInvalid,
    DomainError,
    IdempotencyMismatch,
    KeyMissing,
    NotJson,
    PreconditionFailed,
    StoreContended,
)
from ..domain.limits import Ask, Taken
from ..domain.model import (
    Added,
    Collection,
    Counter,
    CounterName,
    CounterSummary,
    Draft,
    Entry,
    EntrySummary,
    Increment,
    Key,
    Operation,
    Page,
    Precondition,
    PrefixDeleted,
    StoreFailure,
    StoreInfo,
    Unread,
    Written,
)
from ..domain.store import Store
from ..domain.watching import EndWatch, Subject, Watcher
from ..telemetry.instruments import Counter as Count
from ..telemetry.signals import Signals
from ..telemetry.store_spans import begin_operation
from ..telemetry.trace import TRACE, RequestTrace, SpanRecord

#: The label ``result`` for each failure. Any other failure is an "error".
RESULTS: Final[dict[type[DomainError], str]] = {
    KeyMissing: "miss",
    CounterMissing: "miss",
    PreconditionFailed: "conflict",
    IdempotencyMismatch: "conflict",
    CounterBound: "conflict",
    CounterOverflow: "conflict",
    StoreContended: "conflict",
    NotJson: "conflict",
    CursorInvalid: "conflict",
}

Result = TypeVar("Result")


class MeasuredStore:
    """Fills the Store port by calling another Store."""

    def __init__(self, store: Store, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._count: Count = signals.metrics.operations
        self._read = store.read
        self._write = store.write
        self._add = store.add

    # Nearly all requests use these three, so they pass through as few function calls as possible.

    def read(self, key: Key) -> Awaitable[Entry]:
        return self._measure("read", "hit", self._read, key)

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        return self._measure("write", "ok", self._write, key, draft, precondition, operation)

    def add(
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[Added]:
        return self._measure("add", "ok", self._add, name, increment, operation, precondition)

    async def _measure(
        self, operation: str, good: str, call: Callable[..., Awaitable[Result]], *arguments: Any
    ) -> Result:
        trace = TRACE.get()
        if trace.sampled:
            call = self._recorded(trace, operation, call)
        started = time.perf_counter()
        try:
            result = await call(*arguments)
        except DomainError as error:
            trace.result = RESULTS.get(type(error), "error")
            self._count[operation, trace.result] += 1
            raise
        except Exception:
            self._count[operation, "error"] += 1
            raise
        else:
            # swap returns None if the entry has another ETag by now.
            trace.result = "conflict" if result is None else good
            self._count[operation, trace.result] += 1
            return result
        finally:
            trace.store_seconds += time.perf_counter() - started

    def _recorded(
        self, trace: RequestTrace, operation: str, call: Callable[..., Awaitable[Result]]
    ) -> Callable[..., Awaitable[Result]]:
        """Wrap the call so that it also records a span of the request's trace."""
        waiting = self._signals.store_meter.waiting

        async def recorded(*arguments: Any) -> Result:
            span = begin_operation(trace, operation)
            awaitable = call(*arguments)
            if isinstance(awaitable, asyncio.Future):  # a batcher's: the batch finds its span there
                waiting[awaitable] = trace, span
            try:
                result = await awaitable
            except DomainError as error:
                _record_error(span, error)
                raise
            else:
                if isinstance(result, list):  # of a bulk operation: an error in place of a result
                    for outcome in result:
                        _record_error(span, outcome)
                return result
            finally:
                waiting.pop(awaitable, None)  # type: ignore[call-overload]
                span.end()

        return recorded

    async def _measure_many(
        self,
        operation: str,
        good: str,
        call: Callable[..., Awaitable[list[Any]]],
        items: Sequence[Any],
    ) -> list[Any]:
        trace = TRACE.get()
        if trace.sampled:
            call = self._recorded(trace, operation, call)
        started = time.perf_counter()
        try:
            outcomes = await call(items)
        except Exception:
            self._count[operation, "error"] += len(items)
            raise
        finally:
            trace.store_seconds += time.perf_counter() - started
        for kind, number in Tally(map(type, outcomes)).items():
            if issubclass(kind, DomainError):
                self._count[operation, RESULTS.get(kind, "error")] += number
            elif kind is not Unread:
                self._count[operation, good] += number
        return outcomes

    def read_to_swap(self, key: Key) -> Awaitable[Entry]:
        return self._measure("read", "hit", self._store.read_to_swap, key)

    async def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Written | None:
        return await self._measure("swap", "ok", self._store.swap, key, draft, etag, operation)

    async def delete(
        self,
        key: Key,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> bool:
        return await self._measure("delete", "ok", self._store.delete, key, precondition, operation)

    async def list_entries(
        self,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
        most_bytes: int | None = None,
    ) -> Page[EntrySummary]:
        arguments = (prefix, limit, cursor, within, most_bytes)
        return await self._measure("list_entries", "ok", self._store.list_entries, *arguments)

    async def read_counter(self, name: CounterName) -> Counter:
        return await self._measure("read_counter", "hit", self._store.read_counter, name)

    async def set_counter(
        self,
        name: CounterName,
        value: int,
        ttl_seconds: int | None,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> tuple[int | None, bool]:
        arguments = (name, value, ttl_seconds, operation, precondition)
        return await self._measure("set_counter", "ok", self._store.set_counter, *arguments)

    async def delete_counter(
        self,
        name: CounterName,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> bool:
        return await self._measure(
            "delete_counter", "ok", self._store.delete_counter, name, operation, precondition
        )

    async def list_counters(
        self, prefix: str, limit: int, cursor: str | None, within: tuple[str, ...] = ()
    ) -> Page[CounterSummary]:
        return await self._measure(
            "list_counters", "ok", self._store.list_counters, prefix, limit, cursor, within
        )

    async def delete_prefix(
        self,
        collection: Collection,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
    ) -> PrefixDeleted:
        arguments = (collection, prefix, limit, cursor, within)
        return await self._measure("delete_prefix", "ok", self._store.delete_prefix, *arguments)

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        return await self._measure_many(
            "read", "hit", lambda items: self._store.read_many(items, room), keys
        )

    async def write_many(self, drafts: Sequence[tuple[Key, Draft]]) -> list[Written | DomainError]:
        return await self._measure_many("write", "ok", self._store.write_many, drafts)

    async def add_many(
        self, increments: Sequence[tuple[CounterName, int]]
    ) -> list[Added | DomainError]:
        return await self._measure_many("add", "ok", self._store.add_many, increments)

    # Not measured: they are part of an idempotent request, or of the status page.

    def recall(self, key: Key, operation: Operation) -> Awaitable[Written | None]:
        return self._store.recall(key, operation)

    def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Awaitable[Written]:
        return self._store.refuse(key, operation, refusal)

    def claim(
        self, collection: str, operation: Operation, proposal: str
    ) -> Awaitable[tuple[str, bool]]:
        return self._store.claim(collection, operation, proposal)

    def watch(self, subject: Subject, watcher: Watcher, since: str = "") -> Awaitable[EndWatch]:
        return self._store.watch(subject, watcher, since)

    def take(self, ask: Ask) -> Awaitable[Taken]:
        return self._store.take(ask)

    def ping(self) -> Awaitable[StoreInfo]:
        return self._store.ping()

    def failures(self) -> Sequence[StoreFailure]:
        return self._store.failures()

    def own_state(self) -> Awaitable[str | None]:
        return self._store.own_state()

    def serving(self) -> Awaitable[None]:
        return self._store.serving()


def _record_error(span: SpanRecord, outcome: object) -> None:
    if isinstance(outcome, DomainError) and type(outcome) not in RESULTS and not span.error:
        span.error = outcome.slug
