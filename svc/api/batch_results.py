"""What a batch answers for an operation that succeeded. Pure."""

from __future__ import annotations

import msgspec

from ..domain.model import Added, CounterName, Draft, Entry, Key, Written
from .bodies import BatchAdded, BatchGot, BatchPut


def got_result(key: str, entry: Entry) -> BatchGot:
    body, etag, ttl, content_type = entry.body, entry.etag, entry.ttl_seconds, entry.content_type
    if entry.is_json:
        return BatchGot(200, key, etag, ttl, content_type, msgspec.Raw(body))
    return BatchGot(200, key, etag, ttl, content_type, msgspec.UNSET, body)


def put_result(put: tuple[Key, Draft], written: Written) -> BatchPut:
    status = 201 if written.created else 200
    return BatchPut(status, put[0].text, written.etag, written.ttl_seconds, written.replayed)


def add_result(add: tuple[CounterName, int], added: Added) -> BatchAdded:
    value = added.value
    return BatchAdded(200, add[0].text, value, str(value), added.applied_by, added.replayed)
