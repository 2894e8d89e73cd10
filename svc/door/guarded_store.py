"""A Store that does for each caller what its token covers: the one place where that is checked.

Whatever the route, what is read, written, deleted or listed passes through here. An operation that
the token does not cover never reaches Redis, so its refusal tells nothing about what is stored.
Idempotency keys are the caller's own: the same key of another token is another key.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec

from ..domain.access import Grant, Scope
from ..domain.errors import DomainError, Forbidden
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
from .callers import CALLER
from .token_file import TokenFile
from .tokens import Token


class GuardedStore:
    """Fills the Store port by calling another Store, for the CALLER."""

    def __init__(self, store: Store, tokens: TokenFile) -> None:
        self._store = store
        self._tokens = tokens
        #: The watches under way, each with the token that it began with.
        self._watches: dict[Watcher, Token | None] = {}
        self._read = store.read

    def read(self, key: Key) -> Awaitable[Entry]:
        grant = CALLER.get()  # as may_key, without a call
        if "read" not in grant.scopes or not key.text.startswith(grant.keys):
            raise Forbidden
        return self._read(key)

    def read_to_swap(self, key: Key) -> Awaitable[Entry]:
        _check_key("write", key)
        return self._store.read_to_swap(key)

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        _check_key("write", key)
        return self._store.write(key, draft, precondition, _own(operation))

    def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Awaitable[Written | None]:
        _check_key("write", key)
        return self._store.swap(key, draft, etag, _own(operation))

    def delete(
        self,
        key: Key,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[bool]:
        _check_key("delete", key)
        return self._store.delete(key, precondition, _own(operation))

    def recall(self, key: Key, operation: Operation) -> Awaitable[Written | None]:
        _check_key("write", key)
        return self._store.recall(key, owned(operation, CALLER.get()))

    def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Awaitable[Written]:
        _check_key("write", key)
        return self._store.refuse(key, owned(operation, CALLER.get()), refusal)

    def claim(
        self, collection: str, operation: Operation, proposal: str
    ) -> Awaitable[tuple[str, bool]]:
        """Claim for a new member of a collection, or for a batch, which ends in no slash."""
        grant = CALLER.get()
        if collection.endswith("/"):
            _check_key("write", Key(collection[:-1] + "/-"))
        elif not grant.scopes & {"write", "delete"}:
            return _nothing_to_claim(proposal)
        return self._store.claim(collection, owned(operation, CALLER.get()), proposal)

    def list_entries(
        self,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
        most_bytes: int | None = None,
    ) -> Awaitable[Page[EntrySummary]]:
        grant = CALLER.get()
        if "read" not in grant.scopes:
            raise Forbidden
        ask = partial(self._store.list_entries, most_bytes=most_bytes)
        return _page(ask, prefix, limit, cursor, within or grant.keys)

    def list_counters(
        self, prefix: str, limit: int, cursor: str | None, within: tuple[str, ...] = ()
    ) -> Awaitable[Page[CounterSummary]]:
        grant = CALLER.get()
        if "read" not in grant.scopes:
            raise Forbidden
        return _page(self._store.list_counters, prefix, limit, cursor, within or grant.counters)

    def delete_prefix(
        self,
        collection: Collection,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
    ) -> Awaitable[PrefixDeleted]:
        grant = CALLER.get()
        prefixes = grant.keys if collection == "kv" else grant.counters
        related = _related(prefix, within or prefixes)
        if "delete" not in grant.scopes or not related:
            raise Forbidden
        return self._store.delete_prefix(collection, prefix, limit, cursor, related)

    def read_counter(self, name: CounterName) -> Awaitable[Counter]:
        _check_counter("read", name)
        return self._store.read_counter(name)

    def add(
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[Added]:
        _check_counter("write", name)
        return self._store.add(name, increment, _own(operation), precondition)

    def set_counter(
        self,
        name: CounterName,
        value: int,
        ttl_seconds: int | None,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[tuple[int | None, bool]]:
        _check_counter("write", name)
        return self._store.set_counter(name, value, ttl_seconds, _own(operation), precondition)

    def delete_counter(
        self,
        name: CounterName,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[bool]:
        _check_counter("delete", name)
        return self._store.delete_counter(name, _own(operation), precondition)

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        grant = CALLER.get()
        return await _allowed(
            keys,
            lambda key: grant.may_key("read", key.text),
            lambda some: self._store.read_many(some, room),
        )

    async def write_many(self, drafts: Sequence[tuple[Key, Draft]]) -> list[Written | DomainError]:
        grant = CALLER.get()
        return await _allowed(
            drafts, lambda item: grant.may_key("write", item[0].text), self._store.write_many
        )

    async def add_many(
        self, increments: Sequence[tuple[CounterName, int]]
    ) -> list[Added | DomainError]:
        grant = CALLER.get()
        return await _allowed(
            increments, lambda item: grant.may_counter("write", item[0].text), self._store.add_many
        )

    async def watch(self, subject: Subject, watcher: Watcher, since: str = "") -> EndWatch:
        """Watch what the token covers, until it is revoked, is changed, or expires."""
        grant = CALLER.get()
        if "read" not in grant.scopes:
            raise Forbidden
        end = await self._store.watch(covered(subject, grant), watcher, since)
        token = self._tokens.tokens.get(grant.id)
        self._watches[watcher] = token

        def end_watch() -> None:
            self._watches.pop(watcher, None)
            end()

        if token is None or token.grant != grant:  # revoked in the meantime
            watcher.end("expired_token")
        return end_watch

    def end_watches(self) -> None:
        """End the watches of tokens that are no longer what they were."""
        now = time.time()
        for watcher, token in tuple(self._watches.items()):
            if token is None or token.expires <= now or not self._tokens.has(token):
                watcher.end("expired_token")

    def take(self, ask: Ask) -> Awaitable[Taken]:
        return self._store.take(ask)

    # About the store itself: the admin port asks, which has a check of its own.

    def ping(self) -> Awaitable[StoreInfo]:
        return self._store.ping()

    def failures(self) -> Sequence[StoreFailure]:
        return self._store.failures()

    def own_state(self) -> Awaitable[str | None]:
        return self._store.own_state()

    def serving(self) -> Awaitable[None]:
        return self._store.serving()


def owned(operation: Operation, grant: Grant) -> Operation:
    """Return the operation as one of this caller's alone."""
    mixed = blake2b(operation.id, digest_size=16, key=grant.id.encode())
    return Operation(mixed.digest(), operation.fingerprint)


def covered(subject: Subject, grant: Grant) -> Subject:
    """Return what the grant covers of the subject. Raises Forbidden if that is nothing."""
    prefixes = grant.counters if subject.is_counter else grant.keys
    if subject.name.startswith(prefixes):
        return subject
    within = tuple(each for each in prefixes if each.startswith(subject.name))
    if not subject.is_prefix or not within:
        raise Forbidden
    return msgspec.structs.replace(subject, within=within)


def _own(operation: Operation | None) -> Operation | None:
    return None if operation is None else owned(operation, CALLER.get())


def _check_key(scope: Scope, key: Key) -> None:
    if not CALLER.get().may_key(scope, key.text):
        raise Forbidden


def _check_counter(scope: Scope, name: CounterName) -> None:
    if not CALLER.get().may_counter(scope, name.text):
        raise Forbidden


async def _nothing_to_claim(proposal: str) -> tuple[str, bool]:
    """Answer for a caller that can change nothing: it needs no record, so it may make none."""
    return proposal, False


def _related(prefix: str, within: tuple[str, ...]) -> tuple[str, ...]:
    """Return those prefixes that some name with the prefix may have, too."""
    return tuple(each for each in within if each.startswith(prefix) or prefix.startswith(each))


async def _page(
    ask: Callable[..., Awaitable[Page[Any]]],
    prefix: str,
    limit: int,
    cursor: str | None,
    within: tuple[str, ...],
) -> Page[Any]:
    """Return a page of what is both wanted and covered by the token's prefixes."""
    related = _related(prefix, within)
    if not related:
        return Page([], None)
    return await ask(prefix, limit, cursor, related)


async def _allowed(
    items: Sequence[Any],
    is_allowed: Callable[[Any], bool],
    call: Callable[[Sequence[Any]], Awaitable[list[Any]]],
) -> list[Any]:
    """Call with the items that are allowed. Return their outcomes, and Forbidden for the others."""
    verdicts = [is_allowed(item) for item in items]
    if all(verdicts):
        return await call(items)
    allowed = [item for item, fine in zip(items, verdicts, strict=True) if fine]
    outcomes = iter(await call(allowed) if allowed else ())
    return [next(outcomes) if fine else Forbidden() for fine in verdicts]
