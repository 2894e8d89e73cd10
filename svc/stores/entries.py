"""Operations on entries in Redis.

Preconditions are compared in scripts/put.lua and scripts/delete.lua, atomically with the change.
"""

from __future__ import annotations

from typing import Any, Final

from ..domain.errors import DomainError, KeyMissing, NotJson, PreconditionFailed
from ..domain.model import (
    Draft,
    EntrySummary,
    Key,
    Operation,
    Page,
    Precondition,
    Written,
)
from . import entry_codec, listing, scripts
from .access import idempotency_mismatch, ttl_argument
from .bulk_entries import RedisBulkEntries
from .names import claim_name, entry_name, member_beside_claim, operation_name
from .packing import word_of

_REFUSALS: Final[dict[type[DomainError], str]] = {
    PreconditionFailed: "refused",
    KeyMissing: "missing",
    NotJson: "not_json",
}


class RedisEntries(RedisBulkEntries):
    """The Store port's operations on entries, except ``read`` and ``write``: see redis.py."""

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

        async def send(deadline: float) -> Any:
            head, tail = entry_codec.encode(draft, self.versions.next())
            return await self.call(
                scripts.PUT,
                entry_name(key),
                self.operation_keys(key.text, operation),
                head,
                word_of(tail),
                ttl_argument(draft.ttl),
                ttl_argument(draft.default_ttl_seconds or None),
                *_precondition_arguments(precondition),
                *self.record_arguments(operation),
                b"1" if record_refusal else b"0",
                deadline=deadline,
            )

        return _written(await self.turns.run(len(draft.body), self.deadline(), send))

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

    async def list_entries(
        self,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
        most_bytes: int | None = None,
    ) -> Page[EntrySummary]:
        return await listing.list_entries(
            self.link, self.clock, prefix, limit, cursor, self.deadline(), within, most_bytes
        )


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
