"""``/v1/counters``: exact, signed 64-bit counters."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from ..domain.errors import BodyInvalid
from ..domain.model import Increment, counter_etag
from .answer import Answer
from .bodies import (
    CounterBody,
    CounterPage,
    CounterRead,
    CounterSet,
    CounterStepped,
    IncrementBody,
    ListQuery,
    NoQuery,
)
from .context import STORE
from .idempotency import operation_of
from .long_poll import poll, wait_of
from .preconditions import check_read, is_unchanged, precondition_of
from .rendering import add_next_link, render_json
from .requests import counter_of, read_bytes, read_query
from .strict_json import read_body
from .watch import counter_subject, wants_events, watch_counter, watch_counters

MAX_BODY_BYTES: Final = 65_536
_increment: Final = msgspec.json.Decoder(IncrementBody)
_counter: Final = msgspec.json.Decoder(CounterBody)
_ONE: Final = Increment()


async def read(request: web.Request) -> web.StreamResponse:
    if hdrs.ACCEPT in request.headers and wants_events(request):
        return await watch_counter(request)
    if "?" in request.raw_path and (seconds := wait_of(request)) is not None:
        return await poll(request, read, counter_subject(request), seconds)
    name = counter_of(request)
    counter = await request.app[STORE].read_counter(name)
    etag = _etag(counter.value, counter.ttl_seconds)
    check_read(request, etag)
    if is_unchanged(request, etag):
        response = Answer(None, CIMultiDict(), 304)
    else:
        response = render_json(
            CounterRead(name.text, counter.value, str(counter.value), counter.ttl_seconds)
        )
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-store"
    return response


def _etag(value: int, ttl_seconds: int | None) -> str:
    """Return the ETag; weak if there is a TTL, because the time left in the body changes."""
    return counter_etag(value) if ttl_seconds is None else f"W/{counter_etag(value)}"


async def increment(request: web.Request) -> web.Response:
    name = counter_of(request)
    read_query(request, NoQuery)
    raw = await read_bytes(request, MAX_BODY_BYTES, "body")
    change = _build_increment(read_body(raw, _increment)) if raw else _ONE
    operation = operation_of(request, f"ct:{name.text}", raw)
    added = await request.app[STORE].add(name, change, operation, precondition_of(request))
    response = render_json(
        CounterStepped(name.text, added.value, str(added.value), added.applied_by)
    )
    if added.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _build_increment(body: IncrementBody) -> Increment:
    if body.min is not None and body.max is not None and body.min > body.max:
        raise BodyInvalid("min: it is greater than max")
    return Increment(
        by=body.by,
        minimum=body.min,
        maximum=body.max,
        clamp=body.on_bound == "clamp",
        ttl_seconds=body.ttl,
        touch=body.ttl_on == "touch",
    )


async def write(request: web.Request) -> web.Response:
    name = counter_of(request)
    read_query(request, NoQuery)
    raw = await read_bytes(request, MAX_BODY_BYTES, "body")
    body = read_body(raw, _counter)
    previous, replayed = await request.app[STORE].set_counter(
        name,
        body.value,
        body.ttl,
        operation_of(request, f"ct:{name.text}", raw),
        precondition_of(request),
    )
    response = render_json(
        CounterSet(
            name.text,
            body.value,
            str(body.value),
            previous,
            None if previous is None else str(previous),
            body.ttl,
        )
    )
    response.headers["ETag"] = _etag(body.value, body.ttl)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


async def delete(request: web.Request) -> web.Response:
    name = counter_of(request)
    read_query(request, NoQuery)
    replayed = await request.app[STORE].delete_counter(
        name, operation_of(request, f"ct:{name.text}", b""), precondition_of(request)
    )
    headers = CIMultiDict({"Idempotency-Replayed": "true"} if replayed else ())
    return Answer(None, headers, 204)


async def list_page(request: web.Request) -> web.StreamResponse:
    if wants_events(request):
        return await watch_counters(request)
    query = read_query(request, ListQuery)
    page = await request.app[STORE].list_counters(query.prefix, int(query.limit), query.cursor)
    response = render_json(CounterPage(page.items, page.next_cursor))
    add_next_link(response, "/v1/counters", query, page.next_cursor)
    return response
