"""``/v1/batch``: many operations in one request, with as few round trips as their order allows."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from ..domain.errors import (
    BodyInvalid,
    BodyTooLarge,
    DomainError,
    OutcomeUnknown,
    Overloaded,
    StoreUnavailable,
)
from ..domain.model import (
    Added,
    CounterName,
    Draft,
    Entry,
    Increment,
    Key,
    Operation,
    Precondition,
    Ttl,
    Written,
    check_content_type,
    is_json_type,
)
from ..domain.store import Store
from .batch_groups import Group, Kind, Pending, group_operations
from .batch_reads import read_entries
from .bodies import (
    AddOperation,
    BatchAdded,
    BatchBody,
    BatchDeleted,
    BatchGot,
    BatchOperation,
    BatchPut,
    GetOperation,
    NoQuery,
    PutOperation,
    render_json,
)
from .budget import take_bytes
from .context import ROLES, STORE
from .idempotency import build_operation, parse_idempotency_key
from .limits import LIMITS, Limits
from .preconditions import parse_entity_tags
from .problems import Problem, http_problem, problem_of
from .requests import read_bytes, read_query
from .strict_json import decode_body, occur_exactly, read_json, reject_duplicate_keys

_decoder: Final = msgspec.json.Decoder(BatchBody)

EARLIER_FAILED: Final = "the store did not answer an earlier operation; this one was not tried"
ANSWER_FULL: Final = "the batch's answer is full; read this one alone"


async def run(request: web.Request) -> web.Response:
    read_query(request, NoQuery)
    limits = request.app[LIMITS]
    raw = await read_bytes(request, limits.max_batch_bytes, "body")
    operations = decode_body(raw, _decoder).operations
    if not 1 <= len(operations) <= limits.max_batch_operations:
        raise BodyInvalid(
            f"operations: there are {len(operations)};"
            f" a batch holds 1 to {limits.max_batch_operations}"
        )
    only_reads = all(type(operation) is GetOperation for operation in operations)
    # Each read has one "op" and one "key". If the names occur as often as there are reads, no
    # read has a duplicate, and a full parse for duplicates is not needed.
    names = {"operations": 1, "op": len(operations), "key": len(operations)}
    if not (only_reads and occur_exactly(names, raw)):
        reject_duplicate_keys(raw)
    batch = Batch(
        request.app[STORE], limits, request.app[ROLES], lambda size: take_bytes(request, size)
    )
    run = batch.read if only_reads and "kv" in request.app[ROLES] else batch.run
    response = render_json({"results": await run(operations)})
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


class Batch:
    """Runs the operations of one request. The result of a failed operation is its problem."""

    def __init__(
        self, store: Store, limits: Limits, roles: frozenset[str], take: Callable[[int], None]
    ) -> None:
        """``take`` takes bytes from the budget; it raises Overloaded."""
        self._store = store
        self._take = take
        self._limits = limits
        self._roles = roles
        self._results: list[Any] = []
        #: True after the store has failed to answer an operation.
        self._store_failed = False
        #: The bytes that are left for values in the response.
        self._bytes_left = 4 * limits.max_batch_bytes

    async def run(self, operations: Sequence[BatchOperation]) -> list[Any]:
        """Return a result for each operation: the status and body of its single request."""
        self._results = [None] * len(operations)
        parsed: list[tuple[Kind, str, Pending]] = []
        for i, operation in enumerate(operations):
            try:
                kind, resource, arguments = self._parse(operation)
            except DomainError as error:
                self._results[i] = problem_of(error)
            except web.HTTPNotFound:
                self._results[i] = http_problem(404, "this process does not serve it")
            else:
                parsed.append((kind, resource, (i, arguments)))
        for group in group_operations(parsed):
            if self._store_failed:
                self._refuse([each for pending in group.values() for each in pending])
            else:
                await self._run_group(group)
        return self._results

    async def read(self, operations: Sequence[Any]) -> list[Any]:
        """Serve a batch of reads only, the most frequent kind, whose order does not matter."""
        try:
            gets: list[Pending] = [(i, Key(o.key)) for i, o in enumerate(operations)]
        except DomainError:
            return await self.run(operations)
        self._results = [None] * len(operations)
        await self._get(gets)
        return self._results

    def _parse(self, operation: BatchOperation) -> tuple[Kind, str, Any]:
        """Return the operation's kind, its resource, and the arguments that its kind needs."""
        if isinstance(operation, AddOperation):
            if "counters" not in self._roles:
                raise web.HTTPNotFound
            name = CounterName(operation.counter)
            # NUL is not allowed in keys, so a counter and an entry of one name differ here.
            resource = "\0" + name.text
            by, text = operation.by, operation.idempotency_key
            if text is None:
                return "add", resource, (name, by)
            return "single", resource, partial(self._add, name, by, _operation(name, by, text))
        if "kv" not in self._roles:
            raise web.HTTPNotFound
        key = Key(operation.key)
        if isinstance(operation, GetOperation):
            return "get", key.text, key
        precondition = _if_match(operation.if_match)
        if not isinstance(operation, PutOperation):
            return "single", key.text, partial(self._delete, key, precondition)
        draft = self._draft(operation)
        if precondition is None and draft.ttl != "keep":
            return "put", key.text, (key, draft)
        return "single", key.text, partial(self._put, key, draft, precondition)

    def _draft(self, operation: PutOperation) -> Draft:
        limits = self._limits
        raw = bytes(operation.value)
        if bool(raw) == (operation.value_b64 is not None):
            raise BodyInvalid("value: give either value or value_b64")
        if operation.value_b64 is not None:
            try:
                raw = base64.b64decode(operation.value_b64, validate=True)
            except (binascii.Error, ValueError):
                raise BodyInvalid("value_b64: it is not base64") from None
            default_type = "application/octet-stream"
        else:
            default_type = "application/json"
        if len(raw) > limits.max_value_bytes:
            raise BodyTooLarge(
                f"value: it is {len(raw)} bytes long; at most {limits.max_value_bytes} are allowed"
            )
        content_type = check_content_type(operation.content_type or default_type)
        is_json = is_json_type(content_type)
        if is_json or operation.value_b64 is None:
            read_json(raw, "value")
        default = limits.default_ttl_seconds
        ttl: Ttl = default if operation.ttl is None else operation.ttl  # type: ignore[assignment]
        if operation.ttl == "none":
            ttl = None
        return Draft(raw, content_type, ttl, is_json, default)

    async def _run_group(self, group: Group) -> None:
        """Run independent operations concurrently, with one bulk operation for each kind."""
        jobs: list[Awaitable[None]] = []
        store = self._store
        if gets := group.get("get"):
            jobs.append(self._get(gets))
        if puts := group.get("put"):
            drafts = [draft for _, draft in puts]
            jobs.append(self._collect(puts, store.write_many(drafts), _put_result))
        if adds := group.get("add"):
            increments = [increment for _, increment in adds]
            jobs.append(self._collect(adds, store.add_many(increments), _add_result))
        jobs += [self._run_single(i, call) for i, call in group.get("single", ())]
        if len(jobs) == 1:
            await jobs[0]
        else:
            await asyncio.gather(*jobs)

    async def _get(self, gets: list[Pending]) -> None:
        """Read each entry once, until the response is full."""
        keys = [key for _, key in gets]
        found = await read_entries(self._store, keys, self._bytes_left, self._take)
        for error in found.values():
            if isinstance(error, DomainError):
                self._failed(error)
        size = sum(
            len(entry.body) for _, key in gets if isinstance(entry := found.get(key.text), Entry)
        )
        try:
            self._take(min(size, self._bytes_left))  # for their copies in the answer
        except Overloaded as refusal:
            for i, _ in gets:
                self._results[i] = problem_of(refusal)
            return
        for i, key in gets:
            outcome = found.get(key.text)
            if isinstance(outcome, Entry):
                self._results[i] = self._got(key, outcome)
            elif outcome is not None:
                self._results[i] = problem_of(outcome)
            elif self._store_failed:
                self._refuse([(i, key)])
            else:
                self._results[i] = problem_of(BodyTooLarge(ANSWER_FULL))

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

    async def _put(self, key: Key, draft: Draft, precondition: Precondition | None) -> BatchPut:
        return _put_result((key, draft), await self._store.write(key, draft, precondition))

    async def _delete(self, key: Key, precondition: Precondition | None) -> BatchDeleted:
        await self._store.delete(key, precondition)
        return BatchDeleted(204, key.text)

    async def _add(self, name: CounterName, by: int, operation: Operation) -> BatchAdded:
        added = await self._store.add(name, Increment(by=by), operation)
        return _add_result((name, by), added)

    def _got(self, key: Key, entry: Entry) -> BatchGot | Problem:
        body = entry.body
        self._bytes_left -= len(body)
        if self._bytes_left < 0:
            return problem_of(BodyTooLarge(ANSWER_FULL))
        etag, ttl, content_type = entry.etag, entry.ttl_seconds, entry.content_type
        if entry.is_json:
            return BatchGot(200, key.text, etag, ttl, content_type, msgspec.Raw(body))
        return BatchGot(200, key.text, etag, ttl, content_type, msgspec.UNSET, body)


def _operation(name: CounterName, by: int, text: str) -> Operation:
    key = parse_idempotency_key(text, "idempotency_key")
    return build_operation(key, f"ct:{name.text}", b"add %d" % by)


def _if_match(etag: str | None) -> Precondition | None:
    if etag is None:
        return None
    # A single ETag may come without its quotes, which would need escapes in JSON.
    text = f'"{etag}"' if re.fullmatch(r"[0-9A-Za-z]+", etag) else etag
    return Precondition(if_match=parse_entity_tags(text, "if_match"))


def _put_result(put: tuple[Key, Draft], written: Written) -> BatchPut:
    status = 201 if written.created else 200
    return BatchPut(status, put[0].text, written.etag, written.ttl_seconds)


def _add_result(add: tuple[CounterName, int], added: Added) -> BatchAdded:
    value = added.value
    return BatchAdded(200, add[0].text, value, str(value), added.applied_by, added.replayed)
