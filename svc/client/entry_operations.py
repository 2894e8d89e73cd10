"""What clients do with entries, as operations that any driver can run. Pure.

The docstrings are those of the clients' methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from ..api.bodies import EntryWritten
from ..domain.model import Collection, EntrySummary, Page, PrefixDeleted, is_json_type
from .errors import Invalid, KeyMissing, PreconditionFailed
from .exchange import Answer, Ask, Backoff, Operation, Pause, Policy, Request, exchange
from .requests import (
    JSON,
    MERGE_PATCH,
    entry_target,
    listing_target,
    read_request,
    ttl_query,
    write_request,
)
from .values import Entry, Told, Ttl, Value, encode_value, entry_of, not_of_this_api

Body = TypeVar("Body")

#: True: the client makes an idempotency key. False: none is sent. Or the caller's own.
IdempotencyKey = str | bool
#: Given to functions of ``update``: the entry, or None if there is none.
Change = Callable[[Entry | None], Any]


def read_body(answer: Answer, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Return the answer's body. Raises ServiceFailed if it is not what the API describes."""
    try:
        return decoder.decode(answer.body)
    except msgspec.DecodeError as error:
        raise not_of_this_api(answer, str(error)) from None


_written: Final = msgspec.json.Decoder(EntryWritten)
_page: Final = msgspec.json.Decoder(Page[EntrySummary])
_deleted: Final = msgspec.json.Decoder(PrefixDeleted)
_told: Final = msgspec.json.Decoder(Page[Told])


def delete_all(collection: Collection, prefix: str, policy: Policy) -> Operation[int]:
    """Delete by prefix, page by page. Return how many there were."""
    if not prefix:
        raise Invalid("prefix: it must not be empty", code="query_invalid")
    deleted, cursor = 0, None
    while True:
        target = listing_target(collection, prefix, cursor, limit=1000)
        answer = yield from exchange(Request("DELETE", target, is_repeatable=True), policy)
        page = read_body(answer, _deleted)
        deleted, cursor = deleted + page.deleted, page.next_cursor
        if cursor is None:
            return deleted


class EntryOperations:
    """Operations on entries."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def key_for(self, given: IdempotencyKey) -> str | None:
        """Return the idempotency key to send."""
        if isinstance(given, str):
            return given
        return self.policy.new_id() if given else None

    def get(self, key: str) -> Operation[Entry]:
        """Return the entry. Raises KeyMissing."""
        answer = yield from exchange(read_request(entry_target(key)), self.policy)
        return entry_of(key, answer)

    def find(self, key: str) -> Operation[Entry | None]:
        """Return the entry, or None if there is none."""
        return (yield from self._find(key, self.policy.end()))

    def _find(self, key: str, end: float) -> Operation[Entry | None]:
        try:
            answer = yield from exchange(read_request(entry_target(key)), self.policy, end)
        except KeyMissing:
            return None
        return entry_of(key, answer)

    def get_if_changed(self, key: str, etag: str) -> Operation[Entry | None]:
        """Return the entry, or None if its ETag is still this one. Raises KeyMissing."""
        request = read_request(entry_target(key), {"If-None-Match": etag})
        answer = yield from exchange(request, self.policy)
        return None if answer.status == 304 else entry_of(key, answer)

    def put(
        self,
        key: str,
        value: Value,
        *,
        content_type: str | None = None,
        ttl: Ttl = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        idempotency_key: IdempotencyKey = True,
    ) -> Operation[EntryWritten]:
        """Write the entry; return its key, ETag and TTL.

        Bytes and text are stored as they are, anything else as JSON. ``if_match`` replaces only
        the version with this ETag, ``if_none_match="*"`` creates only; else PreconditionFailed.
        """
        body, kind = encode_value(value, content_type)
        request = write_request(
            "PUT",
            entry_target(key, ttl_query(ttl)),
            body,
            headers={"Content-Type": kind},
            if_match=if_match,
            if_none_match=if_none_match,
            idempotency_key=self.key_for(idempotency_key),
            settles=True,
        )
        return read_body((yield from exchange(request, self.policy)), _written)

    def create(
        self,
        prefix: str,
        value: Value,
        *,
        content_type: str | None = None,
        ttl: Ttl = None,
        idempotency_key: IdempotencyKey = True,
    ) -> Operation[EntryWritten]:
        """Write an entry under a new id below ``prefix``, which ends in "/"; ids sort by time."""
        if not prefix.endswith("/"):
            raise Invalid("prefix: it must end in /", code="key_invalid")
        body, kind = encode_value(value, content_type)
        target, mark, query = entry_target(prefix[:-1], ttl_query(ttl)).partition("?")
        request = write_request(
            "POST",
            f"{target}/{mark}{query}",
            body,
            headers={"Content-Type": kind},
            idempotency_key=self.key_for(idempotency_key),
        )
        return read_body((yield from exchange(request, self.policy)), _written)

    def patch(
        self,
        key: str,
        changes: Any,
        *,
        if_match: str | None = None,
        idempotency_key: IdempotencyKey = True,
    ) -> Operation[EntryWritten]:
        """Merge the changes into a JSON entry (RFC 7396). None removes a member; the TTL stays.

        Raises KeyMissing, NotJson, PreconditionFailed.
        """
        body, _ = encode_value(changes, JSON["Content-Type"])
        request = write_request(
            "PATCH",
            entry_target(key),
            body,
            headers={"Content-Type": MERGE_PATCH},
            if_match=if_match,
            idempotency_key=self.key_for(idempotency_key),
            settles=True,
        )
        return read_body((yield from exchange(request, self.policy)), _written)

    def delete(
        self, key: str, *, if_match: str | None = None, idempotency_key: IdempotencyKey = True
    ) -> Operation[bool]:
        """Delete the entry; return False if there was none. Raises PreconditionFailed."""
        request = write_request(
            "DELETE",
            entry_target(key),
            if_match=if_match,
            idempotency_key=self.key_for(idempotency_key),
            settles=True,
        )
        try:
            yield from exchange(request, self.policy)
        except KeyMissing:
            return False
        return True

    def delete_prefix(self, prefix: str) -> Operation[int]:
        """Delete the entries whose keys begin with the prefix, which must not be empty.

        Return how many. It goes on from call to call, each of which deletes up to 1000.
        """
        return (yield from delete_all("kv", prefix, self.policy))

    def update(
        self,
        key: str,
        function: Change,
        *,
        content_type: str | None = None,
        ttl: Ttl = "keep",
    ) -> Operation[Entry | None]:
        """Change the entry by a function of its present state, as often as it takes.

        The function gets the entry, or None if there is none, and returns the new value. If it
        returns None, or the entry itself, nothing is written. It runs again when somebody else
        wrote meanwhile, so it should do nothing but compute. Return the entry as it is then.
        """
        end = self.policy.end()
        backoff = Backoff(self.policy, end)
        while True:
            entry = yield from self._find(key, end)
            value = yield Ask(function, entry)
            if value is None or value is entry:
                return entry
            body, kind = encode_value(value, content_type or _kept_type(value, entry))
            request = write_request(
                "PUT",
                entry_target(key, ttl_query(ttl)),
                body,
                headers={"Content-Type": kind},
                if_match=None if entry is None else entry.etag,
                if_none_match="*" if entry is None else None,
                # Without it, a write whose answer is lost would look like one of somebody else.
                idempotency_key=self.policy.new_id(),
            )
            try:
                answer = yield from exchange(request, self.policy, end)
            except PreconditionFailed as error:
                seconds = backoff.next_seconds()
                if seconds is None:
                    error.retryable = True  # the function may succeed later
                    raise
                yield Pause(seconds)
                continue
            written = read_body(answer, _written)
            return Entry(
                key=key,
                etag=written.etag,
                ttl=written.ttl,
                size=len(body),
                content_type=kind,
                body=body,
            )

    def entries_page(
        self, prefix: str, page_size: int, cursor: str | None, *, values: bool
    ) -> Operation[tuple[list[EntrySummary], str | None]]:
        """Return a page of entries, and the cursor of the next one; None on the last."""
        include = "value" if values else None
        target = listing_target("kv", prefix, cursor, limit=page_size, include=include)
        answer = yield from exchange(read_request(target), self.policy)
        if not values:
            page = read_body(answer, _page)
            return page.items, page.next_cursor
        told = read_body(answer, _told)
        found: list[EntrySummary] = []
        for each in told.items:
            entry: EntrySummary | None = each.entry()
            if not isinstance(entry, Entry):  # it grew, so that the answer had no room for it
                entry = yield from self.find(each.key)
            if entry is not None:
                found.append(entry)
        return found, told.next_cursor


def _kept_type(value: Value, entry: Entry | None) -> str | None:
    """Return the entry's content type if the new value can have it; None: the value's own."""
    if entry is None:
        return None
    is_raw = isinstance(value, bytes | bytearray | memoryview | str)
    return entry.content_type if is_raw or is_json_type(entry.content_type) else None
