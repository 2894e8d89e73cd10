"""``/v1/batch``: many operations in one request, in as few round trips as their order allows."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from aiohttp import hdrs, web

from ..domain.errors import BodyInvalid, BodyTooLarge, DomainError
from ..domain.model import (
    Added,
    CounterName,
    Draft,
    Entry,
    Increment,
    Key,
    Precondition,
    Ttl,
    Written,
    check_content_type,
    is_json_type,
)
from ..domain.store import Store
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
from .context import LIMITS, ROLES, STORE, Limits
from .problems import http_problem, problem_of
from .requests import build_operation, parse_idempotency_key, read_bytes, read_query
from .strict_json import read_body, read_json

_decoder: Final = msgspec.json.Decoder(BatchBody)

#: How a step shares a round trip: reads of anything, plain writes, plain steps, or none of these.
Kind = Literal["get", "put", "add", "alone"]


class Step:
    """One operation, checked: what it works on, and how it can travel."""

    __slots__ = ("by", "draft", "key", "kind", "name", "operation", "precondition", "resource")

    def __init__(self, kind: Kind, resource: str) -> None:
        self.kind: Kind = kind
        self.resource = resource
        self.key: Key
        self.name: CounterName
        self.draft: Draft
        self.precondition: Precondition | None = None
        self.operation: Any = None
        self.by = 1


async def run(request: web.Request) -> web.Response:
    read_query(request, NoQuery)
    limits = request.app[LIMITS]
    raw = await read_bytes(request, limits.max_batch_bytes, "body")
    operations = read_body(raw, _decoder).operations
    if not 1 <= len(operations) <= limits.max_batch_operations:
        raise BodyInvalid(
            f"operations: there are {len(operations)};"
            f" a batch holds 1 to {limits.max_batch_operations}"
        )
    batch = Batch(request.app[STORE], limits, request.app[ROLES])
    results = await batch.run(operations)
    response = render_json({"results": results})
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


class Batch:
    """Runs operations in waves: one wave's go together, one key's or counter's keep their order."""

    def __init__(self, store: Store, limits: Limits, roles: frozenset[str]) -> None:
        self._store = store
        self._limits = limits
        self._roles = roles
        self._results: list[Any] = []
        self._room = 4 * limits.max_batch_bytes

    async def run(self, operations: Sequence[BatchOperation]) -> list[Any]:
        self._results = [None] * len(operations)
        if "kv" in self._roles and all(type(o) is GetOperation for o in operations):
            await self._get_all(operations)
            return self._results
        waves: list[dict[Kind, list[tuple[int, Step]]]] = []
        last: dict[str, tuple[int, Kind, bool]] = {}
        for i, operation in enumerate(operations):
            try:
                step = self._parse(operation)
            except DomainError as error:
                self._results[i] = problem_of(error)
                continue
            if step is None:
                self._results[i] = http_problem(404, "this process does not serve it")
                continue
            kind, up = step.kind, step.by >= 0
            before = last.get(step.resource)
            if before is None:
                wave = 0
            elif kind != "alone" and before[1:] == (kind, up):
                wave = before[0]
            else:
                wave = before[0] + 1
            last[step.resource] = (wave, kind, up)
            if wave == len(waves):
                waves.append({})
            waves[wave].setdefault(kind, []).append((i, step))
        for wave_steps in waves:
            await self._run_wave(wave_steps)
        return self._results

    async def _get_all(self, operations: Sequence[Any]) -> None:
        """Serve a batch of nothing but reads, the most frequent kind: no order to keep."""
        try:
            keys = [(i, Key(operation.key)) for i, operation in enumerate(operations)]
        except DomainError:
            keys = []
            for i, operation in enumerate(operations):
                try:
                    keys.append((i, Key(operation.key)))
                except DomainError as error:
                    self._results[i] = problem_of(error)
        await self._get(keys)

    def _parse(self, operation: BatchOperation) -> Step | None:
        if isinstance(operation, AddOperation):
            if "counters" not in self._roles:
                return None
            return _parse_add(operation)
        if "kv" not in self._roles:
            return None
        key = Key(operation.key)
        if isinstance(operation, GetOperation):
            step = Step("get", key.text)
        elif isinstance(operation, PutOperation):
            draft = self._draft(operation)
            step = Step("put", key.text)
            step.draft = draft
            step.precondition = _if_match(operation.if_match)
            if step.precondition is not None or draft.ttl == "keep":
                step.kind = "alone"
        else:
            step = Step("alone", key.text)
            step.precondition = _if_match(operation.if_match)
        step.key = key
        return step

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

    async def _run_wave(self, wave: dict[Kind, list[tuple[int, Step]]]) -> None:
        jobs: list[Awaitable[None]] = []
        if gets := wave.get("get"):
            jobs.append(self._get([(i, step.key) for i, step in gets]))
        if puts := wave.get("put"):
            drafts = [(step.key, step.draft) for _, step in puts]
            jobs.append(self._settle(puts, self._store.write_many(drafts), _put_result))
        if adds := wave.get("add"):
            steps = [(step.name, step.by) for _, step in adds]
            jobs.append(self._settle(adds, self._store.add_many(steps), _add_result))
        jobs.extend(self._alone(i, step) for i, step in wave.get("alone", ()))
        if len(jobs) == 1:
            await jobs[0]
        else:
            await asyncio.gather(*jobs)

    async def _get(self, keys: list[tuple[int, Key]]) -> None:
        outcomes = await self._store.read_many([key for _, key in keys])
        results, room = self._results, self._room
        for (i, key), outcome in zip(keys, outcomes, strict=True):
            if isinstance(outcome, DomainError):
                results[i] = problem_of(outcome)
                continue
            room -= len(outcome.body)
            if room >= 0:
                results[i] = _get_result(key.text, outcome)
            else:
                results[i] = problem_of(BodyTooLarge("the batch's answer is full; read it alone"))
        self._room = room

    async def _settle(
        self,
        steps: list[tuple[int, Step]],
        outcomes: Awaitable[list[Any]],
        render: Callable[[Step, Any], Any],
    ) -> None:
        for (i, step), outcome in zip(steps, await outcomes, strict=True):
            failed = isinstance(outcome, DomainError)
            self._results[i] = problem_of(outcome) if failed else render(step, outcome)

    async def _alone(self, i: int, step: Step) -> None:
        store = self._store
        try:
            if step.resource.startswith("\0"):
                added = await store.add(step.name, Increment(by=step.by), step.operation)
                self._results[i] = _add_result(step, added)
            elif hasattr(step, "draft"):
                written = await store.write(step.key, step.draft, step.precondition)
                self._results[i] = _put_result(step, written)
            else:
                await store.delete(step.key, step.precondition)
                self._results[i] = BatchDeleted(204, step.key.text)
        except DomainError as error:
            self._results[i] = problem_of(error)


def _parse_add(operation: AddOperation) -> Step:
    name = CounterName(operation.counter)
    # No key holds NUL: a counter and an entry of one name are two resources.
    step = Step("add", "\0" + name.text)
    step.name = name
    step.by = operation.by
    if operation.idempotency_key is not None:
        key = parse_idempotency_key(operation.idempotency_key, "idempotency_key")
        step.operation = build_operation(key, f"ct:{name.text}", b"add %d" % operation.by)
        step.kind = "alone"
    return step


def _if_match(etag: str | None) -> Precondition | None:
    if etag is None:
        return None
    quoted = etag if etag == "*" or etag.startswith('"') else f'"{etag}"'
    return Precondition(if_match=(quoted,))


def _get_result(key: str, entry: Entry) -> BatchGot:
    etag, ttl, content_type = entry.etag, entry.ttl_seconds, entry.content_type
    if entry.is_json:
        return BatchGot(200, key, etag, ttl, content_type, msgspec.Raw(entry.body))
    return BatchGot(200, key, etag, ttl, content_type, msgspec.UNSET, entry.body)


def _put_result(step: Step, written: Written) -> BatchPut:
    status = 201 if written.created else 200
    return BatchPut(status, step.key.text, written.etag, written.ttl_seconds)


def _add_result(step: Step, added: Added) -> BatchAdded:
    value = added.value
    return BatchAdded(200, step.name.text, value, str(value), added.applied_by, added.replayed)
