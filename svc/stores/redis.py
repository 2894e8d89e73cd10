"""Entries and counters in Redis: all of the port but the single plain operations.

Those are coalescing.py's, which makes them of the bulk operations here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..domain.errors import (
    CounterBound,
    CounterMissing,
    CounterOverflow,
    DomainError,
    IdempotencyMismatch,
    KeyMissing,
    NotJson,
    PreconditionFailed,
)
from ..domain.model import (
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
    Ttl,
    Written,
)
from . import listing, record, scripts
from .clock import ServerClock
from .link import Command, Link
from .names import claim_name, counter_name, entry_name, operation_name
from .refusals import checked, failure_of
from .wire import Reply, ReplyError

_REFUSALS: Final[dict[type[DomainError], str]] = {
    PreconditionFailed: "refused",
    KeyMissing: "missing",
    NotJson: "not_json",
}


class RedisStore:
    """Works over any Link: one server, Sentinel's primary, or a Cluster."""

    def __init__(self, link: Link, *, timeout_seconds: float, operation_ttl_seconds: int) -> None:
        self._link = link
        self._timeout = timeout_seconds
        self._operation_ttl_ms = operation_ttl_seconds * 1000
        self._versions = record.Versions()
        self._clock = ServerClock()

    # --- entries --------------------------------------------------------------------------

    async def read_many(
        self, keys: Sequence[Key], deadline: float | None = None
    ) -> list[Entry | DomainError]:
        names = [entry_name(key) for key in keys]
        if self._clock.is_stale:
            await self._read_clock(deadline)
        replies = await self._execute_groups(
            names, lambda group: ("MGET", *[names[i] for i in group]), deadline, repeatable=True
        )
        if len(replies) == 1:
            return self._entries_of(replies[0][1], len(keys))
        outcomes: list[Entry | DomainError] = [KeyMissing()] * len(keys)
        for group, reply in replies:
            for i, outcome in zip(group, self._entries_of(reply, len(group)), strict=True):
                outcomes[i] = outcome
        return outcomes

    async def _read_clock(self, deadline: float | None) -> None:
        (time,) = await self._execute([("TIME",)], deadline, repeatable=True)
        if not isinstance(time, Exception):
            self._clock.observe(int(time[0]) * 1000 + int(time[1]) // 1000)

    def _entries_of(self, reply: Reply, size: int) -> list[Entry | DomainError]:
        if isinstance(reply, Exception):
            return [failure_of(reply, changing=False)] * size
        now = self._clock.now_ms()
        decode, missing = record.decode, KeyMissing()
        try:
            return [missing if raw is None else decode(raw, now) for raw in reply]
        except DomainError:  # one of them can't be read: which, the slow way tells
            return [missing if raw is None else record.try_decode(raw, now) for raw in reply]

    async def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Written | None:
        try:
            return await self.put(
                key, draft, Precondition(if_match=(etag,)), operation, record_refusal=False
            )
        except PreconditionFailed:
            return None

    async def put(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None,
        operation: Operation | None,
        *,
        record_refusal: bool = True,
    ) -> Written:
        """Write one entry with all that a write may ask; the port's ``write`` in one round trip."""
        head, tail = record.encode(draft, self._versions.next())
        reply = await self._call(
            scripts.PUT,
            entry_name(key),
            self._operation_keys(key.text, operation),
            head,
            tail,
            _milliseconds(draft.ttl),
            _milliseconds(draft.default_ttl_seconds or None),
            *_versions_of(precondition),
            *self._record_of(operation),
            b"1" if record_refusal else b"0",
        )
        return _written(reply)

    async def write_many(
        self, drafts: Sequence[tuple[Key, Draft]], deadline: float | None = None
    ) -> list[Written | DomainError]:
        versions = self._versions
        names: list[bytes] = []
        packed: list[tuple[bytes, bytes, bytes]] = []
        etags: list[bytes] = []
        for key, draft in drafts:
            version = versions.next()
            names.append(entry_name(key))
            etags.append(version)
            packed.append((*record.encode(draft, version), _milliseconds(draft.ttl)))
        replies = await self._execute_groups(
            names,
            lambda group: (
                scripts.PUT_MANY,
                len(group),
                *[names[i] for i in group],
                *[word for i in group for word in packed[i]],
            ),
            deadline,
        )
        outcomes: list[Written | DomainError] = [KeyMissing()] * len(drafts)
        for group, reply in replies:
            if isinstance(reply, Exception):
                for i in group:
                    outcomes[i] = failure_of(reply, changing=True)
                continue
            self._clock.observe(reply[0])
            for at, i in enumerate(group, 1):
                ttl = drafts[i][1].ttl
                outcomes[i] = Written(
                    record.etag_of(etags[i]),
                    ttl if ttl != "keep" else None,
                    reply[0] // 1000,
                    reply[at] == 1,
                )
        return outcomes

    async def delete(
        self,
        key: Key,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> bool:
        replayed, outcome, version = await self._call(
            scripts.DELETE,
            entry_name(key),
            self._operation_keys(key.text, operation),
            *_versions_of(precondition),
            *self._record_of(operation),
        )
        if outcome == b"deleted":
            return bool(replayed)
        refusal: DomainError
        if outcome == b"refused":
            refusal = PreconditionFailed(record.etag_of(version))
        else:
            refusal = KeyMissing() if outcome == b"missing" else _reused()
        refusal.replayed = bool(replayed)
        raise refusal

    async def recall(self, key: Key, operation: Operation) -> Written | None:
        reply = await self._call(
            scripts.RECALL, operation_name(key.text, operation.id), (), operation.fingerprint
        )
        return None if reply is None else _written(reply)

    async def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Written:
        version = b""
        if isinstance(refusal, PreconditionFailed):
            version = record.version_of(refusal.etag or "") or b""
        reply = await self._call(
            scripts.REFUSE,
            operation_name(key.text, operation.id),
            (),
            _REFUSALS[type(refusal)],
            version,
            *self._record_of(operation),
        )
        return _written(reply)

    async def claim(self, collection: str, operation: Operation, proposal: str) -> str:
        outcome, bound = await self._call(
            scripts.CLAIM,
            claim_name(collection, operation.id),
            (),
            proposal,
            *self._record_of(operation),
        )
        if outcome == b"reused":
            raise _reused()
        return str(bound, "ascii")

    async def list_entries(self, prefix: str, limit: int, cursor: str | None) -> Page[EntrySummary]:
        return await listing.list_entries(
            self._link, self._clock, prefix, limit, cursor, self._deadline()
        )

    # --- counters -------------------------------------------------------------------------

    async def read_counter(self, name: CounterName) -> Counter:
        stored = counter_name(name)
        value, left = await self._execute([("GET", stored), ("PTTL", stored)], repeatable=True)
        if checked(value, changing=False) is None:
            raise CounterMissing
        left = checked(left, changing=False)
        return Counter(
            listing.integer_of(value), record.remaining_seconds(left, 0) if left >= 0 else None
        )

    async def step(
        self, name: CounterName, increment: Increment, operation: Operation | None
    ) -> Added:
        """Step one counter with all that a step may ask; the port's ``add`` in one round trip."""
        replayed, outcome, before, after = await self._call(
            scripts.ADD,
            counter_name(name),
            self._operation_keys(name.text, operation),
            increment.by,
            b"" if increment.minimum is None else increment.minimum,
            b"" if increment.maximum is None else increment.maximum,
            b"1" if increment.clamp else b"0",
            _milliseconds(increment.ttl_seconds),
            b"1" if increment.touch else b"0",
            *self._record_of(operation),
        )
        if outcome == b"ok":
            value = int(after)
            return Added(value, value - int(before), bool(replayed))
        refusal: DomainError
        if outcome == b"reused":
            refusal = _reused()
        else:
            refusal = CounterBound() if outcome == b"bound" else CounterOverflow()
        refusal.replayed = bool(replayed)
        raise refusal

    async def add_many(
        self, steps: Sequence[tuple[CounterName, int]], deadline: float | None = None
    ) -> list[Added | DomainError]:
        names = [counter_name(name) for name, _ in steps]
        replies = await self._execute_groups(
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
        replayed, outcome, previous = await self._call(
            scripts.SET_COUNTER,
            counter_name(name),
            self._operation_keys(name.text, operation),
            value,
            _milliseconds(ttl_seconds),
            *self._record_of(operation),
        )
        if outcome == b"reused":
            raise _reused()
        return (listing.integer_of(previous) if previous else None), bool(replayed)

    async def delete_counter(self, name: CounterName, operation: Operation | None = None) -> bool:
        replayed, outcome = await self._call(
            scripts.DELETE_COUNTER,
            counter_name(name),
            self._operation_keys(name.text, operation),
            *self._record_of(operation),
        )
        if outcome == b"deleted":
            return bool(replayed)
        refusal: DomainError = CounterMissing() if outcome == b"missing" else _reused()
        refusal.replayed = bool(replayed)
        raise refusal

    async def list_counters(
        self, prefix: str, limit: int, cursor: str | None
    ) -> Page[CounterSummary]:
        return await listing.list_counters(self._link, prefix, limit, cursor, self._deadline())

    # --- the store itself -----------------------------------------------------------------

    async def ping(self) -> str:
        (reply,) = await self._execute([("INFO", "server")], repeatable=True)
        return listing.server_facts(checked(reply, changing=False))["redis_version"]

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def _execute(
        self,
        commands: Sequence[Command],
        deadline: float | None = None,
        *,
        repeatable: bool = False,
    ) -> list[Reply]:
        return await self._link.execute(
            commands,
            deadline=self._deadline() if deadline is None else deadline,
            repeatable=repeatable,
        )

    async def _execute_groups(
        self,
        names: Sequence[bytes],
        command_of: Callable[[list[int]], Command],
        deadline: float | None,
        *,
        repeatable: bool = False,
    ) -> list[tuple[list[int], Reply]]:
        """Send one command for each group of names that may travel together.

        While a Cluster moves a slot, it refuses commands whose keys are partly there and partly
        here: those are sent again, a key at a time.
        """
        groups = self._link.groups(names)
        replies = await self._execute(
            [command_of(g) for g in groups], deadline, repeatable=repeatable
        )
        answered = list(zip(groups, replies, strict=True))
        torn = [
            group
            for group, reply in answered
            if len(group) > 1 and type(reply) is ReplyError and reply.code == "TRYAGAIN"
        ]
        if torn:
            answered = [(group, reply) for group, reply in answered if group not in torn]
            singles = [[i] for group in torn for i in group]
            replies = await self._execute(
                [command_of(g) for g in singles], deadline, repeatable=repeatable
            )
            answered += zip(singles, replies, strict=True)
        return answered

    async def _call(
        self, script: scripts.Script, name: bytes, more: Sequence[bytes], *arguments: Any
    ) -> Any:
        command = (script, 1 + len(more), name, *more, *arguments)
        (reply,) = await self._execute([command])
        return checked(reply, changing=True)

    def _operation_keys(self, resource: str, operation: Operation | None) -> tuple[bytes, ...]:
        return () if operation is None else (operation_name(resource, operation.id),)

    def _record_of(self, operation: Operation | None) -> tuple[bytes, int]:
        if operation is None:
            return b"", 0
        return operation.fingerprint, self._operation_ttl_ms


def _milliseconds(ttl: Ttl) -> bytes:
    if ttl == "keep":
        return b"keep"
    return b"" if ttl is None else b"%d000" % ttl


def _versions_of(precondition: Precondition | None) -> tuple[bytes, bytes]:
    if precondition is None:
        return b"-", b"-"
    return _version_list(precondition.if_match), _version_list(precondition.if_none_match)


def _version_list(etags: tuple[str, ...] | None) -> bytes:
    if etags is None:
        return b"-"
    if etags == ("*",):
        return b"*"
    # An ETag that is not one of ours matches nothing; the list still has to hold.
    return b"=" + b"".join(filter(None, map(record.version_of, etags)))


def _written(reply: Any) -> Written:
    replayed, outcome, version, left_ms, written_ms = reply
    if outcome in {b"created", b"replaced"}:
        ttl = record.remaining_seconds(left_ms, 0) if left_ms >= 0 else None
        return Written(
            record.etag_of(version), ttl, written_ms // 1000, outcome == b"created", bool(replayed)
        )
    if outcome == b"reused":
        raise _reused()
    refusal: DomainError
    if outcome == b"refused":
        refusal = PreconditionFailed(record.etag_of(version) if version else None)
    else:
        refusal = KeyMissing() if outcome == b"missing" else NotJson()
    refusal.replayed = bool(replayed)
    raise refusal


def _reused() -> IdempotencyMismatch:
    return IdempotencyMismatch("Idempotency-Key: it was used before with another payload")
