"""The plain interface: a JSON object at any path, and the hit counter at ``/``."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from ..domain.errors import BodyInvalid, NotJson
from ..domain.model import CounterName, Draft, Entry, Increment, Key, Operation
from .answer import Answer
from .bodies import Hits, NoQuery
from .budget import SMALL_BYTES, take_bytes
from .context import IDENTITY, STORE
from .header_lists import prefers_json
from .idempotency import operation_of
from .json_turns import check_json_in_turn
from .limits import LIMITS
from .preconditions import check_read, is_unchanged, precondition_of
from .rendering import JSON, render_json
from .requests import (
    decode_path,
    raw_rest,
    read_bytes,
    read_query,
)
from .strict_json import read_members, write_members

#: The hit counter is the counter ``/v1/counters/hits``.
HITS: Final = CounterName("hits")
ONE: Final = Increment()
TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


def read_operation(request: web.Request) -> Operation | None:
    """Return what identifies a visit across retries. Raises HeaderInvalid."""
    return operation_of(request, f"ct:{HITS.text}", b"")


async def hit(request: web.Request) -> web.Response:
    """Count a visit, and return the number of visits."""
    if request.method == hdrs.METH_HEAD:  # a probe does not count
        headers = {"Cache-Control": "no-store", "Vary": "Accept", **TEXT}
        return Answer(None, CIMultiDict(headers))
    operation = read_operation(request)
    added = await request.app[STORE].add(HITS, ONE, operation)
    if prefers_json(request):
        who = request.app[IDENTITY]
        response = render_json(Hits(added.value, who.pod, who.version, who.track))
    else:
        response = Answer(f"Count is {added.value}.".encode(), CIMultiDict(TEXT))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept"
    if added.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


async def read(request: web.Request) -> web.Response:
    entry = await request.app[STORE].read(_key(request))
    etag = _weak(entry.etag)
    check_read(request, etag, entry.written_seconds)
    if is_unchanged(request, etag, entry.written_seconds):
        return Answer(None, CIMultiDict({"ETag": etag, "Cache-Control": "no-cache"}), 304)
    if len(entry.body) > SMALL_BYTES:
        take_bytes(request, len(entry.body))
    members = await _members_of(request, entry)
    if members is None:
        raise NotJson("the entry is not a JSON object; read it at /v1/kv/…")
    response = _render(members, entry.written_seconds, entry.ttl_seconds)
    response.headers["ETag"] = etag
    return response


async def _members_of(request: web.Request, entry: Entry) -> dict[str, msgspec.Raw] | None:
    if not entry.is_json:
        try:
            await check_json_in_turn(request, entry.body)
        except BodyInvalid:
            return None
    return read_members(entry.body)


async def write(request: web.Request) -> web.Response:
    key = _key(request)
    read_query(request, NoQuery)
    limits = request.app[LIMITS]
    raw = await read_bytes(request, limits.max_value_bytes)
    await check_json_in_turn(request, raw)
    members = read_members(raw)
    if members is None:
        raise BodyInvalid("body: it must be a JSON object")
    for name in ("last_updated", "ttl"):
        members.pop(name, None)
    body: bytes = write_members(members)  # never longer than what was sent
    ttl = limits.default_ttl_seconds
    written = await request.app[STORE].write(
        key,
        Draft(body, "application/json", ttl, is_json=True),
        precondition_of(request),
        operation_of(request, f"kv:{key.text}", raw),
    )
    response = _render(members, written.written_seconds, written.ttl_seconds, 201)
    response.headers["ETag"] = _weak(written.etag)
    if written.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _weak(etag: str) -> str:
    """Return the weak form of an entry's ETag: here the body also has a ``ttl``, which changes."""
    return f"W/{etag}"


def _key(request: web.Request) -> Key:
    return Key(decode_path(raw_rest(request, 0)))


def _render(
    members: dict[str, msgspec.Raw],
    written_seconds: int,
    ttl_seconds: int | None,
    status: int = 200,
) -> web.Response:
    shown = {**members, "last_updated": written_seconds, "ttl": ttl_seconds}
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Answer(write_members(shown) + b"\n", CIMultiDict(headers), status, JSON)
