"""The port: what the service asks of a store, and what every store promises.

Promises, checked on every store by tests/svc/contract:

- each operation is atomic, and an acknowledged one is seen by every later one;
- a failure raises a DomainError whose ``applied`` is never a lie;
- an operation given an ``Operation`` is applied at most once while its record lasts: a replay gets
  the recorded outcome (marked ``replayed``), another payload IdempotencyMismatch;
- every method may raise StoreUnavailable, and those that change something OutcomeUnknown
  and StoreFull besides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from .errors import DomainError
from .model import (
    Added,
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
    Written,
)


class Store(Protocol):
    """Entries by key and counters by name."""

    def read(self, key: Key) -> Awaitable[Entry]:
        """Return the entry; raise KeyMissing."""

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        """Create or replace the entry under a new ETag; raise PreconditionFailed."""

    def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Awaitable[Written | None]:
        """Replace the entry if its ETag still is ``etag``; return None when it moved on."""

    def delete(
        self,
        key: Key,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[bool]:
        """Delete the entry, return whether a replay; raise KeyMissing, PreconditionFailed."""

    def recall(self, key: Key, operation: Operation) -> Awaitable[Written | None]:
        """Return what the recorded write of this operation came to; None when there is none."""

    def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Awaitable[Written]:
        """Record that a swap was refused before it was tried (KeyMissing, NotJson or
        PreconditionFailed), and raise that; if the operation has a record already, return or
        raise what it says.
        """

    def claim(self, collection: str, operation: Operation, proposal: str) -> Awaitable[str]:
        """Bind the operation to a member's id: the first proposal stands, for every later call."""

    def list_entries(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Awaitable[Page[EntrySummary]]:
        """Return a page of the keys that begin with the (literal) prefix; raise CursorInvalid.

        No key that stood throughout is missed; a page may be short, or empty, before the end.
        """

    def read_counter(self, name: CounterName) -> Awaitable[Counter]:
        """Return the counter; raise CounterMissing."""

    def add(
        self, name: CounterName, increment: Increment, operation: Operation | None = None
    ) -> Awaitable[Added]:
        """Step the counter, an absent one from zero; raise CounterOverflow, CounterBound."""

    def set_counter(
        self,
        name: CounterName,
        value: int,
        ttl_seconds: int | None,
        operation: Operation | None = None,
    ) -> Awaitable[tuple[int | None, bool]]:
        """Set the value; return the previous one (None: there was none) and whether a replay."""

    def delete_counter(
        self, name: CounterName, operation: Operation | None = None
    ) -> Awaitable[bool]:
        """Delete the counter, return whether it was a replay; raise CounterMissing."""

    def list_counters(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Awaitable[Page[CounterSummary]]:
        """Return a page of the counters whose names begin with the prefix, as list_entries."""

    def read_many(self, keys: Sequence[Key]) -> Awaitable[list[Entry | DomainError]]:
        """Read each key; a failure stands in its place."""

    def write_many(
        self, drafts: Sequence[tuple[Key, Draft]]
    ) -> Awaitable[list[Written | DomainError]]:
        """Write each draft, those of one key in order; a failure stands in its place.

        No draft's TTL may be "keep".
        """

    def add_many(
        self, steps: Sequence[tuple[CounterName, int]]
    ) -> Awaitable[list[Added | DomainError]]:
        """Step each counter, one counter's steps in order; a failure stands in its place."""

    def ping(self) -> Awaitable[str]:
        """Ask the store whether it answers; return its version for people."""
