"""Operations on entries in Redis.

Preconditions are compared in scripts/put.lua and scripts/delete.lua, atomically with the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..domain.errors import DomainError, KeyMissing, NotJson, PreconditionFailed
from ..domain.model import (
    Draft,
    Entry,
    EntrySummary,
    Key,
    Operation,
    Page,
    Precondition,
    Unread,
    Written,
)
from . import entry_codec, listing, scripts
from .access import RedisAccess, idempotency_mismatch, ttl_argument
from .link import Link
from .names import claim_name, entry_name, member_beside_claim, operation_name
from .redis_errors import domain_error_of
from .wire import Reply

_REFUSALS: Final[dict[type[DomainError], str]] = {
    PreconditionFailed: "refused",
    KeyMissing: "missing",
    NotJson: "not_json",
}


class RedisEntries(RedisAccess):
    """The Store port's operations on entries, except ``read`` and ``write``: see redis.py."""

    def __init__(self, link: Link, *, timeout_seconds: float, operation_ttl_seconds: int) -> None:
        super().__init__(
            link, timeout_seconds=timeout_seconds, operation_ttl_seconds=operation_ttl_seconds
        )
        self._versions = entry_codec.Versions()

    async def mget(
        self, keys: Sequence[Key], deadline: float | None = None
    ) -> list[Entry | DomainError]:
        """Read all keys, of whatever size."""
        names = [entry_name(key) for key in keys]
        replies = await self.execute_groups(
            names, lambda group: ("MGET", *[names[i] for i in group]), deadline, repeatable=True
        )
        if len(replies) == 1:
            return self._entries_of(replies[0][1], len(keys))
        outcomes: list[Entry | DomainError] = [KeyMissing()] * len(keys)
        for group, reply in replies:
            for i, outcome in zip(group, self._entries_of(reply, len(group)), strict=True):
                outcomes[i] = outcome
        return outcomes

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        if len(keys) == 1:
            return list(await self.mget(keys))
        names = [entry_name(key) for key in keys]
        replies = await self.execute_groups(
            names,
            lambda group: (
                scripts.READ_MANY,
                len(group),
                *[names[i] for i in group],
                room * len(group) // len(names),
                entry_codec.HEADER_BYTES,
            ),
            None,
            repeatable=True,
        )
        (_, first), *more = replies
        if not more and not isinstance(first, Exception) and list not in set(map(type, first)):
            return list(self._entries_of(first, len(keys)))
        outcomes: list[Entry | Unread | DomainError] = [KeyMissing()] * len(keys)
        for group, reply in replies:
            headers = {}
            parts = reply
            if not isinstance(reply, Exception):
                headers = {at: part[0] for at, part in enumerate(reply) if type(part) is list}
                parts = [None if at in headers else part for at, part in enumerate(reply)]
            found: list[Any] = list(self._entries_of(parts, len(group)))
            for at, header in headers.items():
                found[at] = _unread(header)
            for i, outcome in zip(group, found, strict=True):
                outcomes[i] = outcome
        return outcomes

    def _entries_of(self, reply: Reply, size: int) -> list[Entry | DomainError]:
        if isinstance(reply, Exception):
            return [domain_error_of(reply, changing=False) for _ in range(size)]
        now = self.clock.now_ms()
        decode = entry_codec.decode
        try:
            return [KeyMissing() if raw is None else decode(raw, now) for raw in reply]
        except DomainError:  # one of them is unreadable: decode each on its own
            return [
                KeyMissing() if raw is None else entry_codec.try_decode(raw, now) for raw in reply
            ]

    async def swap(
        self, key: Key, draft: Draft, etag: str, operation: Operation | None = None
    ) -> Written | None:
        try:
            return await self.put(
                key, draft, Precondition(if_match=(etag,)), operation, record_refusal=False
            )
        except PreconditionFailed as refusal:
            if refusal.replayed:
                raise
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
        """Write one entry, with precondition and operation record, in one round trip.

        put.lua compares the precondition's ETags. Raises PreconditionFailed.
        """
        head, tail = entry_codec.encode(draft, self._versions.next())
        reply = await self.call(
            scripts.PUT,
            entry_name(key),
            self.operation_keys(key.text, operation),
            head,
            tail,
            ttl_argument(draft.ttl),
            ttl_argument(draft.default_ttl_seconds or None),
            *_precondition_arguments(precondition),
            *self.record_arguments(operation),
            b"1" if record_refusal else b"0",
        )
        return _written(reply)

    async def write_many(
        self, drafts: Sequence[tuple[Key, Draft]], deadline: float | None = None
    ) -> list[Written | DomainError]:
        names: list[bytes] = []
        packed: list[tuple[bytes, bytes, bytes]] = []
        etags: list[bytes] = []
        for key, draft in drafts:
            version = self._versions.next()
            names.append(entry_name(key))
            etags.append(version)
            packed.append((*entry_codec.encode(draft, version), ttl_argument(draft.ttl)))
        replies = await self.execute_groups(
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
                    outcomes[i] = domain_error_of(reply, changing=True)
                continue
            for at, i in enumerate(group, 1):
                if isinstance(reply[at], Exception):
                    outcomes[i] = domain_error_of(reply[at], changing=True)
                    continue
                ttl = drafts[i][1].ttl
                outcomes[i] = Written(
                    entry_codec.etag_of(etags[i]),
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
        replayed, outcome, version = await self.call(
            scripts.DELETE,
            entry_name(key),
            self.operation_keys(key.text, operation),
            *_precondition_arguments(precondition),
            *self.record_arguments(operation),
        )
        if outcome == b"deleted":
            return bool(replayed)
        raise _refusal(outcome, version).recorded(replayed)

    async def recall(self, key: Key, operation: Operation) -> Written | None:
        reply = await self.call(
            scripts.RECALL, operation_name(key.text, operation.id), (), operation.fingerprint
        )
        return None if reply is None else _written(reply)

    async def refuse(self, key: Key, operation: Operation, refusal: DomainError) -> Written:
        version = b""
        if isinstance(refusal, PreconditionFailed):
            version = entry_codec.version_of(refusal.etag or "") or b""
        reply = await self.call(
            scripts.REFUSE,
            operation_name(key.text, operation.id),
            (),
            _REFUSALS[type(refusal)],
            version,
            *self.record_arguments(operation),
        )
        return _written(reply)

    async def claim(self, collection: str, operation: Operation, proposal: str) -> tuple[str, bool]:
        outcome, bound = await self.call(
            scripts.CLAIM,
            claim_name(operation.id),
            (),
            member_beside_claim(collection, operation.id, proposal),
            *self.record_arguments(operation),
        )
        if outcome == b"reused":
            raise idempotency_mismatch()
        return str(bound, "ascii"), outcome == b"replayed"

    async def list_entries(self, prefix: str, limit: int, cursor: str | None) -> Page[EntrySummary]:
        return await listing.list_entries(
            self.link, self.clock, prefix, limit, cursor, self.deadline()
        )


def _unread(header: bytes) -> Unread | DomainError:
    try:
        return Unread(entry_codec.summarise("", header, 0).size)
    except DomainError as error:
        return error.with_traceback(None)


def _precondition_arguments(precondition: Precondition | None) -> tuple[bytes, bytes]:
    """Return put.lua's and delete.lua's arguments If-Match and If-None-Match."""
    if precondition is None:
        return b"-", b"-"
    return _version_list(precondition.if_match), _version_list(precondition.if_none_match)


def _version_list(etags: tuple[str, ...] | None) -> bytes:
    if etags is None:
        return b"-"
    if etags == ("*",):
        return b"*"
    # An ETag that this service did not make matches no entry, so it is left out. The "=" stays: an
    # empty list matches no entry, while "-" means that the header was not sent.
    return b"=" + b"".join(filter(None, map(entry_codec.version_of, etags)))


def _written(reply: Any) -> Written:
    replayed, outcome, version, left_ms, written_ms = reply
    if outcome in {b"created", b"replaced"}:
        ttl = entry_codec.remaining_seconds(left_ms, 0) if left_ms >= 0 else None
        return Written(
            entry_codec.etag_of(version),
            ttl,
            written_ms // 1000,
            outcome == b"created",
            bool(replayed),
        )
    raise _refusal(outcome, version).recorded(replayed)


def _refusal(outcome: bytes, version: bytes | None) -> DomainError:
    """Return the error for the outcome of a script that changed nothing."""
    if outcome == b"refused":
        return PreconditionFailed(entry_codec.etag_of(version) if version else None)
    if outcome == b"missing":
        return KeyMissing()
    return NotJson() if outcome == b"not_json" else idempotency_mismatch()
