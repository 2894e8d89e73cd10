"""``/v1/kv``: read, write, patch, delete, create and list entries.

ETags of preconditions are compared in preconditions.py for reads and patches. For writes and
deletions they are passed to the store, which compares them atomically with the change.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import Final
from urllib.parse import quote
from weakref import WeakValueDictionary

from aiohttp import hdrs, web
from multidict import CIMultiDict

from ..domain.errors import (
    BodyInvalid,
    BodyTooLarge,
    HeaderInvalid,
    KeyInvalid,
    KeyMissing,
    MediaTypeUnsupported,
    NotJson,
    PreconditionFailed,
    StoreContended,
)
from ..domain.model import (
    Draft,
    Entry,
    Key,
    Precondition,
    Written,
    check_content_type,
    is_json_type,
)
from ..telemetry.loop_clock import loop_clock
from .answer import Answer, CommonHeaders
from .bodies import EntryWritten, ListEntriesQuery, NoQuery, WriteQuery, parse_ttl
from .budget import SMALL_BYTES, take_bytes
from .context import STORE
from .header_lists import wants_minimal
from .http_dates import http_date
from .idempotency import operation_of, operation_on_member
from .json_turns import JSON_TURNS, check_json_in_turn
from .limits import LIMITS
from .listed_values import list_with_values
from .long_poll import poll, wait_of
from .merge_patch import merge_steps
from .preconditions import (
    check_precondition,
    check_read,
    is_same_version,
    is_unchanged,
    modified_seconds,
    precondition_of,
)
from .ranges import parse_range
from .rendering import add_next_link, render_json
from .requests import (
    decode_path,
    key_of,
    raw_rest,
    read_bytes,
    read_query,
)
from .strict_json import check_nodes
from .watch import entry_subject, wants_events, watch_entries, watch_entry

MERGE_PATCH: Final = "application/merge-patch+json"
OCTETS: Final = "application/octet-stream"
#: Headers of stored bytes, which may come from anyone: a browser must not run scripts in them, nor
#: guess another content type.
_READ: Final = CommonHeaders(
    {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
)


async def read(request: web.Request) -> web.StreamResponse:
    if hdrs.ACCEPT in request.headers and wants_events(request):
        return await watch_entry(request)
    if "?" in request.raw_path and (seconds := wait_of(request)) is not None:
        return await poll(request, read, entry_subject(request), seconds)
    entry = await request.app[STORE].read(key_of(request))
    headers = CIMultiDict[str]()
    headers["ETag"] = entry.etag
    # RFC 9110 §8.8.2.1: never later than Date.
    modified = min(modified_seconds(entry.written_seconds), int(time.time()))
    headers["Last-Modified"] = http_date(modified)
    if entry.ttl_seconds is not None:
        headers["KV-TTL"] = str(entry.ttl_seconds)
    sent = request.headers
    if hdrs.IF_MATCH in sent or hdrs.IF_UNMODIFIED_SINCE in sent:
        check_read(request, entry.etag, entry.written_seconds)
    if (hdrs.IF_NONE_MATCH in sent or hdrs.IF_MODIFIED_SINCE in sent) and is_unchanged(
        request, entry.etag, entry.written_seconds
    ):
        return Answer(None, headers, 304, _READ)
    headers["Content-Type"] = entry.content_type
    if len(entry.body) > SMALL_BYTES:
        take_bytes(request, len(entry.body))
    if hdrs.RANGE in sent and request.method == hdrs.METH_GET:
        return _part(request, entry, headers)
    return Answer(entry.body, headers, 200, _READ)


def _part(request: web.Request, entry: Entry, headers: CIMultiDict[str]) -> web.Response:
    """Return the part of the entry that Range asks for, or the whole. See ranges.py."""
    size = len(entry.body)
    found = None
    if is_same_version(request, entry.etag, entry.written_seconds):
        found = parse_range(",".join(request.headers.getall(hdrs.RANGE)), size)
    if found is None:
        return Answer(entry.body, headers, 200, _READ)
    first, end = found
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return Answer(entry.body[first:end], headers, 206, _READ)


async def write(request: web.Request) -> web.Response:
    key, app = key_of(request), request.app
    body = await read_bytes(request, app[LIMITS].max_value_bytes)
    written = await app[STORE].write(
        key,
        await _draft(request, body, app[LIMITS].default_ttl_seconds),
        precondition_of(request),
        operation_of(request, f"kv:{key.text}", body),
    )
    return _render_written(request, key, written)


async def _draft(request: web.Request, body: bytes, default: int) -> Draft:
    content_type = check_content_type(request.headers.get(hdrs.CONTENT_TYPE, OCTETS))
    # A value with a JSON content type must be valid: reads, patches and batches rely on it.
    is_json = is_json_type(content_type)
    if is_json:
        await check_json_in_turn(request, body, "value")
    ttl = parse_ttl(read_query(request, WriteQuery).ttl, default)
    return Draft(body, content_type, ttl, is_json, default)


def _render_written(request: web.Request, key: Key, written: Written) -> web.Response:
    if wants_minimal(request):
        headers = CIMultiDict({"Preference-Applied": "return=minimal"})
        response = Answer(None, headers, 201 if written.created else 204)
    else:
        body = EntryWritten(key.text, written.etag, written.ttl_seconds)
        response = render_json(body, 201 if written.created else 200)
    response.headers["ETag"] = written.etag
    if written.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


# One patch of a key at a time in this process: 50 concurrent clients then need 50 swaps, not 1275.
_patching: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()


async def patch(request: web.Request) -> web.Response:
    key = key_of(request)
    media_type = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
    if media_type != MERGE_PATCH:
        raise MediaTypeUnsupported(f"Content-Type: a PATCH must be {MERGE_PATCH}")
    read_query(request, NoQuery)
    raw = await read_bytes(request, request.app[LIMITS].max_value_bytes, "patch")
    await check_json_in_turn(request, raw, "patch")
    precondition = precondition_of(request)
    operation = operation_of(request, f"kv:{key.text}", raw)
    store = request.app[STORE]

    clock = loop_clock()
    timeout_seconds = request.app[LIMITS].store_timeout_ms / 1000
    deadline = clock.now() + 2 * timeout_seconds
    lock = _patching.setdefault(key.text, asyncio.Lock())
    try:
        async with clock.timeout_at(clock.now() + timeout_seconds):
            await lock.acquire()
    except TimeoutError:
        raise StoreContended("too many clients are patching this entry") from None
    try:
        if operation is not None:
            earlier = await store.recall(key, operation)
            if earlier is not None:
                return _render_written(request, key, earlier)
        taken = 0
        while clock.now() < deadline:
            try:
                entry = await store.read_to_swap(key)
                check_precondition(precondition, entry.etag)
                take_bytes(request, max(0, len(entry.body) - taken))
                taken = max(taken, len(entry.body))
                draft = await _merged(request, entry, raw)
            except (KeyMissing, NotJson, PreconditionFailed) as refusal:
                if operation is None:
                    raise
                return _render_written(request, key, await store.refuse(key, operation, refusal))
            written = await store.swap(key, draft, entry.etag, operation)
            if written is not None:
                return _render_written(request, key, written)
    finally:
        lock.release()
    raise StoreContended("too many other writers kept changing the entry; nothing was applied")


async def _merged(request: web.Request, entry: Entry, changes: bytes) -> Draft:
    if not entry.is_json:
        try:
            await check_json_in_turn(request, entry.body)
        except BodyInvalid:
            raise NotJson from None
    size = len(entry.body) + len(changes)
    body = await request.app[JSON_TURNS].run(size, merge_steps(entry.body, changes))
    limit = request.app[LIMITS].max_value_bytes
    if len(body) > limit:
        raise BodyTooLarge(
            f"value: merged, it is {len(body)} bytes long; at most {limit} are allowed"
        )
    check_nodes(body, "value")  # the result is no deeper than the value or the patch
    return Draft(body, entry.content_type, "keep", is_json_type(entry.content_type))


async def delete(request: web.Request) -> web.Response:
    key = key_of(request)
    read_query(request, NoQuery)
    replayed = await request.app[STORE].delete(
        key, precondition_of(request), operation_of(request, f"kv:{key.text}", b"")
    )
    headers = CIMultiDict({"Idempotency-Replayed": "true"} if replayed else ())
    return Answer(None, headers, 204)


async def create(request: web.Request) -> web.Response:
    """Create ``{prefix}/{id}`` with a new id.

    With an idempotency key, the id is recorded before the entry is written, so that a retry that
    reaches another pod creates the same entry.
    """
    collection = decode_path(raw_rest(request, 2))
    if not collection.endswith("/"):
        raise KeyInvalid("key: only a key that ends in '/' can be posted to; use PUT for this one")
    prefix = Key(collection[:-1])
    if precondition_of(request) is not None:
        raise HeaderInvalid("If-Match: a new entry has no ETag to compare with; leave it out")
    store = request.app[STORE]
    body = await read_bytes(request, request.app[LIMITS].max_value_bytes)
    draft = await _draft(request, body, request.app[LIMITS].default_ttl_seconds)
    member = str(uuid7())
    # Raises KeyTooLong, before anything is recorded, if the prefix leaves no room for an id.
    key = Key(f"{prefix.text}/{member}")
    operation = operation_of(request, f"kv:{prefix.text}/", body)
    if operation is not None:
        member, _ = await store.claim(collection, operation, member)
        key = Key(f"{prefix.text}/{member}")
        operation = operation_on_member(operation, member)
    written = await store.write(key, draft, Precondition(if_none_match=("*",)), operation)
    response = _render_written(request, key, written)
    response.headers["Location"] = "/v1/kv/" + quote(key.text)
    return response


def uuid7() -> uuid.UUID:
    """Return a time-ordered id: RFC 9562 §5.7, with a sub-millisecond fraction (§6.2, method 3)."""
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    tail = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | tail)


async def list_page(request: web.Request) -> web.StreamResponse:
    if wants_events(request):
        return await watch_entries(request)
    query = read_query(request, ListEntriesQuery)
    if query.include is None:
        page = await request.app[STORE].list_entries(query.prefix, int(query.limit), query.cursor)
    else:
        page = await list_with_values(request, query)
    response = render_json(page)
    add_next_link(response, "/v1/kv", query, page.next_cursor)
    return response
