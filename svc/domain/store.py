"""The Store port: what the service needs from a store, and what every store promises.

Promises, which tests/svc/contract checks on every store:

- Each operation is atomic, and later operations see the effect of an acknowledged one.
- An error is a DomainError, and its ``applied`` states correctly whether the change was made.
- The precondition of a change is compared atomically with it. On Redis, the scripts of
  stores/scripts compare the ETags.
- An entry's ETag is never used twice. A counter's names its value (model.counter_etag): it is the
  same again once the counter has the same value again.
- A change with an ``Operation`` is applied at most once while its record lasts. A replay gets the
  recorded outcome, marked ``replayed``; another payload gets IdempotencyMismatch.
- Every method may raise StoreUnavailable. Methods that change something may also raise
  OutcomeUnknown and StoreFull.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from .errors import DomainError
from .limits import Ask, Taken
from .model import (
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
from .watching import EndWatch, Subject, Watcher


class Store(Protocol):
    """Entries by key and counters by name."""

    def read(self, key: Key) -> Awaitable[Entry]:
        """Return the entry. Raises KeyMissing."""

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        """Create or replace the entry, with a new ETag. Raises PreconditionFailed."""

    def read_to_swap(self, key: Key) -> Awaitable[Entry]:
        """Return the entry, as ``read`` does, to a caller that goes on to ``swap`` it.

        It needs the right to write, because nobody is shown what was read.
        """

    def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Awaitable[Written | None]:
        """Replace the entry if its ETag is ``etag``. Return None if it has another by now."""

    def delete(
        self,
        key: Key,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[bool]:
        """Delete the entry. Return True for a replay. Raises KeyMissing, PreconditionFailed."""

    def recall(self, key: Key, operation: Operation) -> Awaitable[Written | None]:
        """Return the recorded outcome of this operation's write; None if there is no record."""

    def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Awaitable[Written]:
        """Record that a PATCH was refused before its swap, and raise the refusal.

        It is a KeyMissing, NotJson or PreconditionFailed. If the operation has a record already,
        return or raise the recorded outcome instead.
        """

    def claim(
        self, collection: str, operation: Operation, proposal: str
    ) -> Awaitable[tuple[str, bool]]:
        """Bind the operation to the id of a new member of a collection.

        Return the id, and True if it was bound before. The first call binds its proposal, with
        other last four hex digits: a store of several servers then keeps the entry
        ``collection + id`` where the binding is, so that neither is lost without the other.
        """

    def list_entries(
        self,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
        most_bytes: int | None = None,
    ) -> Awaitable[Page[EntrySummary]]:
        """Return a page of the entries whose keys begin with the literal prefix.

        ``within``: and with one of these prefixes. Neither a page nor its cursor then depends on
        the names of other entries. ``most_bytes``: the values of a page have no more together,
        unless one of them alone has more.
        The listing has every key that exists throughout. A page may have fewer than ``limit``
        items, or none, and not be the last: the store walks all its keys, whatever the prefix.
        Raises CursorInvalid.
        """

    def read_counter(self, name: CounterName) -> Awaitable[Counter]:
        """Return the counter. Raises CounterMissing."""

    def add(
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[Added]:
        """Add to the counter; a new one starts at zero.

        Raises CounterOverflow, CounterBound, PreconditionFailed.
        """

    def set_counter(
        self,
        name: CounterName,
        value: int,
        ttl_seconds: int | None,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[tuple[int | None, bool]]:
        """Set the value. Return the previous one (None: there was none), and True for a replay.

        Raises PreconditionFailed.
        """

    def delete_counter(
        self,
        name: CounterName,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[bool]:
        """Delete the counter. Return True for a replay.

        Raises CounterMissing, PreconditionFailed.
        """

    def list_counters(
        self, prefix: str, limit: int, cursor: str | None, within: tuple[str, ...] = ()
    ) -> Awaitable[Page[CounterSummary]]:
        """Return a page of the counters whose names begin with the prefix, like list_entries."""

    def delete_prefix(
        self,
        collection: Collection,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
    ) -> Awaitable[PrefixDeleted]:
        """Delete a page of the entries, or counters, that the arguments name as for list_entries.

        What can't be decoded is left. After the last page nothing is left that was there
        throughout. Raises CursorInvalid.
        """

    def read_many(
        self, keys: Sequence[Key], room: int
    ) -> Awaitable[list[Entry | Unread | DomainError]]:
        """Read each key. Return an entry or an error for each, in order.

        If there are several, those beyond ``room`` bytes together are Unread instead, and never
        leave the store.
        """

    def write_many(
        self, drafts: Sequence[tuple[Key, Draft]]
    ) -> Awaitable[list[Written | DomainError]]:
        """Write each draft. Return an outcome or an error for each, in order.

        Drafts of one key are written in order. No draft's TTL may be "keep".
        """

    def add_many(
        self, increments: Sequence[tuple[CounterName, int]]
    ) -> Awaitable[list[Added | DomainError]]:
        """Add to each counter. Return an outcome or an error for each, in order.

        Increments of one counter are applied in order.
        """

    def watch(self, subject: Subject, watcher: Watcher, since: str = "") -> Awaitable[EndWatch]:
        """Tell the watcher the present state, then each later one. Return what ends the watch.

        Whoever changes it, the last state of every name is told. States between may be left out;
        an earlier state of a name is never told after a later one. ``since`` is the position from
        which a watch of a prefix resumes: what changed after it is told, or ``reset`` and all.
        """

    def take(self, ask: Ask) -> Awaitable[Taken]:
        """Take permits of a rate limit, which all pods share. The store's clock alone counts."""

    def ping(self) -> Awaitable[StoreInfo]:
        """Ask the store for its version, and whether it has loaded its data."""

    def failures(self) -> Sequence[StoreFailure]:
        """Return why the store failed lately, by reason, the latest first."""

    def own_state(self) -> Awaitable[str | None]:
        """Return what a store that nobody else uses does: starting, loading, serving or failed.

        Return None for a store that other services share: their readiness must not depend on it.
        """

    def serving(self) -> Awaitable[None]:
        """Wait until a store that this process starts has loaded its data."""
