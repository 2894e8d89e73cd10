"""Run the operations of a batch, in as few round trips as their order allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from aiohttp import web

from ..domain.errors import (
    BodyTooLarge,
    DomainError,
    OutcomeUnknown,
    Overloaded,
    StoreUnavailable,
)
from ..domain.model import (
    CounterName,
    Draft,
    Entry,
    Increment,
    Key,
    Operation,
    Precondition,
)
from ..domain.store import Store
from .batch_groups import Group, Kind, Pending, group_operations
from .batch_operations import identify, parse_draft, parse_precondition
from .batch_reads import FIRST_READ_BYTES, read_entries
from .batch_results import add_result, got_result, put_result
from .bodies import (
    AddOperation,
    BatchAdded,
    BatchDeleted,
    BatchGot,
    BatchOperation,
    BatchPut,
    BatchUnchanged,
    GetOperation,
    Problem,
    PutOperation,
)
from .limits import Limits
from .preconditions import check_precondition, is_listed
from .problems import http_problem, problem_of

EARLIER_FAILED: Final = "the store did not answer an earlier operation; this one was not tried"
ANSWER_FULL: Final = "the batch's answer is full; read this one alone"


class Batch:
    """Runs the operations of one request. The result of a failed operation is its problem."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        roles: frozenset[str],
        take: Callable[[int], None],
        has_room: Callable[[int], bool],
    ) -> None:
        """``take`` takes bytes from the budget; it raises Overloaded. ``has_room`` only asks."""
        self._store = store
        self._take = take
        self._has_room = has_room
        self._limits = limits
        self._roles = roles
        self._results: list[Any] = []
        #: An id made of the batch's own idempotency key and payload; None without a key.
        self._id: str | None = None
        #: The conditions of reads, by their index.
        self._conditions: dict[int, Precondition] = {}
        #: True after the store has failed to answer an operation.
        self._store_failed = False
        #: The bytes that are left for values in the response.
        self._bytes_left = 4 * limits.max_batch_bytes

    async def bind(self, operation: Operation) -> bool:
        """Apply each change of the batch at most once. Return True if this is a retry.

        Each change gets an idempotency key of its own from the batch's. So it is not applied again
        even if only the record of the batch is lost. Raises IdempotencyMismatch.
        """
        self._id = f"{operation.id.hex()}{operation.fingerprint.hex()}"
        _, replayed = await self._store.claim(f"batch:{self._id}", operation, self._id)
        return replayed

    def parse(self, operations: Sequence[BatchOperation]) -> Generator[None, None, list[Group]]:
        """Return the operations in groups to run, in steps. Note what is refused."""
        self._results = [None] * len(operations)
        parsed: list[tuple[Kind, str, Pending]] = []
        for i, operation in enumerate(operations):
            try:
                kind, resource, arguments = yield from self._parse(i, operation)
            except DomainError as error:
                self._results[i] = problem_of(error)
            except web.HTTPNotFound:
                self._results[i] = http_problem(404, "this process does not serve it")
            else:
                parsed.append((kind, resource, (i, arguments)))
            yield
        return group_operations(parsed)

    async def run(self, groups: Sequence[Group]) -> list[Any]:
        """Return a result for each operation: the status and body of its single request."""
        for group in groups:
            if self._store_failed:
                self._refuse([each for pending in group.values() for each in pending])
            else:
                await self._run_group(group)
        return self._results

    async def read(self, operations: Sequence[Any]) -> list[Any] | None:
        """Serve a batch of reads only, the most frequent kind, whose order does not matter.

        Return None, and read nothing, if a key is invalid.
        """
        try:
            gets: list[Pending] = [(i, Key(o.key)) for i, o in enumerate(operations)]
        except DomainError:
            return None
        self._results = [None] * len(operations)
        await self._get(gets)
        return self._results

    def _parse(
        self, index: int, operation: BatchOperation
    ) -> Generator[None, None, tuple[Kind, str, Any]]:
        """Return the operation's kind, its resource, and the arguments that its kind needs."""
        if isinstance(operation, AddOperation):
            if "counters" not in self._roles:
                raise web.HTTPNotFound
            name = CounterName(operation.counter)
            # NUL is not allowed in keys, so a counter and an entry of one name differ here.
            resource = "\0" + name.text
            by, precondition = operation.by, parse_precondition(operation)
            once = identify(operation, f"ct:{name.text}", self._id, index)
            if once is None and precondition is None:
                return "add", resource, (name, by)
            return "single", resource, partial(self._add, name, by, once, precondition)
        if "kv" not in self._roles:
            raise web.HTTPNotFound
        key = Key(operation.key)
        precondition = parse_precondition(operation)
        if isinstance(operation, GetOperation):
            if precondition is not None:
                self._conditions[index] = precondition
            return "get", key.text, key
        once = identify(operation, f"kv:{key.text}", self._id, index)
        if not isinstance(operation, PutOperation):
            return "single", key.text, partial(self._delete, key, precondition, once)
        draft = yield from parse_draft(operation, self._limits)
        if precondition is None and once is None and draft.ttl != "keep":
            return "put", key.text, (key, draft)
        return "single", key.text, partial(self._put, key, draft, precondition, once)

    async def _run_group(self, group: Group) -> None:
        """Run independent operations concurrently, with one bulk operation for each kind."""
        jobs: list[Awaitable[None]] = []
        if gets := group.get("get"):
            jobs.append(self._get(gets))
        if puts := group.get("put"):
            drafts = [draft for _, draft in puts]
            jobs.append(self._collect(puts, self._store.write_many(drafts), put_result))
        if adds := group.get("add"):
            increments = [increment for _, increment in adds]
            jobs.append(self._collect(adds, self._store.add_many(increments), add_result))
        jobs += [self._run_single(i, call) for i, call in group.get("single", ())]
        if len(jobs) == 1:
            await jobs[0]
        else:
            await asyncio.gather(*jobs)

    async def _get(self, gets: list[Pending]) -> None:
        """Read each entry once, until the response is full."""
        keys = [key for _, key in gets]
        known = await self._store.read_many(keys, FIRST_READ_BYTES)
        if not self._conditions and self._answer_all(gets, known):
            return
        found = await read_entries(self._store, keys, known, self._bytes_left, self._take)
        for error in found.values():
            if isinstance(error, DomainError):
                self._failed(error)
        if self._conditions:
            gets = [each for each in gets if not self._is_settled(*each, found)]
        for i, key in self._take_copies(gets, found):
            outcome = found.get(key.text)
            if isinstance(outcome, Entry):
                self._results[i] = self._got(key, outcome)
            elif outcome is not None:
                self._results[i] = problem_of(outcome)
            elif self._store_failed:
                self._refuse([(i, key)])
            else:
                self._results[i] = problem_of(BodyTooLarge(ANSWER_FULL))

    def _answer_all(self, gets: list[Pending], outcomes: Sequence[Any]) -> bool:
        """Answer all reads in one pass if each found its entry and they fit, as in most batches."""
        if set(map(type, outcomes)) != {Entry}:
            return False
        size = sum([len(entry.body) for entry in outcomes])
        if size > self._bytes_left or not self._has_room(size):
            return False
        self._take(size)
        self._bytes_left -= size
        results = self._results
        for (i, key), entry in zip(gets, outcomes, strict=True):
            results[i] = got_result(key.text, entry)
        return True

    def _is_settled(self, i: int, key: Key, found: Mapping[str, Entry | DomainError]) -> bool:
        """Return True if a read's condition decides its result, which is not the entry then."""
        precondition, entry = self._conditions.get(i), found.get(key.text)
        if precondition is None or not isinstance(entry, Entry):
            return False
        try:
            check_precondition(Precondition(precondition.if_match), entry.etag)
        except DomainError as refusal:
            self._results[i] = problem_of(refusal)
            return True
        if is_listed(entry.etag, precondition.if_none_match):
            self._results[i] = BatchUnchanged(304, key.text, entry.etag)
            return True
        return False

    def _take_copies(
        self, gets: list[Pending], found: Mapping[str, Entry | DomainError]
    ) -> list[Pending]:
        """Take the bytes of the entries' copies in the answer. Return the reads that find room.

        The first entry that finds none, and all behind it, are one refusal.
        """
        sizes = [
            len(entry.body) if isinstance(entry := found.get(key.text), Entry) else 0
            for _, key in gets
        ]
        size = min(sum(sizes), self._bytes_left)
        if self._has_room(size):
            self._take(size)
            return gets
        fitting, refusal = [], None
        for pending, size in zip(gets, sizes, strict=True):
            if size and refusal is None:
                try:
                    self._take(size)
                except Overloaded as error:
                    refusal = error.copy()
            if size and refusal is not None:
                self._results[pending[0]] = problem_of(refusal)
            else:
                fitting.append(pending)
        return fitting

    async def _collect(
        self,
        pending: list[Pending],
        outcomes: Awaitable[list[Any]],
        render: Callable[[Any, Any], Any],
    ) -> None:
        """Await a bulk operation and render its outcomes as results."""
        results = self._results
        for (i, arguments), outcome in zip(pending, await outcomes, strict=True):
            if isinstance(outcome, DomainError):
                results[i] = self._failed(outcome)
            else:
                results[i] = render(arguments, outcome)

    async def _run_single(self, i: int, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            self._results[i] = await call()
        except DomainError as error:
            self._results[i] = self._failed(error)

    def _failed(self, error: DomainError) -> Problem:
        if isinstance(error, StoreUnavailable | OutcomeUnknown):
            self._store_failed = True
        return problem_of(error)

    def _refuse(self, pending: Iterable[Pending]) -> None:
        """Refuse operations that follow a failure of the store.

        Each would take another timeout, and the outcome of an earlier change may be unknown.
        """
        for i, _ in pending:
            self._results[i] = problem_of(StoreUnavailable(EARLIER_FAILED))

    async def _put(
        self, key: Key, draft: Draft, precondition: Precondition | None, once: Operation | None
    ) -> BatchPut:
        return put_result((key, draft), await self._store.write(key, draft, precondition, once))

    async def _delete(
        self, key: Key, precondition: Precondition | None, once: Operation | None
    ) -> BatchDeleted:
        return BatchDeleted(204, key.text, await self._store.delete(key, precondition, once))

    async def _add(
        self, name: CounterName, by: int, once: Operation | None, precondition: Precondition | None
    ) -> BatchAdded:
        added = await self._store.add(name, Increment(by=by), once, precondition)
        return add_result((name, by), added)

    def _got(self, key: Key, entry: Entry) -> BatchGot | Problem:
        size = len(entry.body)
        if size > self._bytes_left:
            self._bytes_left = 0  # full: smaller ones that follow are refused too
            return problem_of(BodyTooLarge(ANSWER_FULL))
        self._bytes_left -= size
        return got_result(key.text, entry)
