"""``DELETE /v1/kv?prefix=`` and ``DELETE /v1/counters?prefix=``: a page of a listing at a time."""

from __future__ import annotations

from aiohttp import web

from ..domain.errors import HeaderInvalid
from ..domain.model import Collection
from .bodies import DeleteQuery
from .context import STORE
from .idempotency import IDEMPOTENCY_KEY
from .preconditions import precondition_of
from .rendering import render_json
from .requests import read_query


async def delete_entries(request: web.Request) -> web.Response:
    return await _delete(request, "kv")


async def delete_counters(request: web.Request) -> web.Response:
    return await _delete(request, "counters")


async def _delete(request: web.Request, collection: Collection) -> web.Response:
    query = read_query(request, DeleteQuery)
    if precondition_of(request) is not None:
        raise HeaderInvalid("If-Match: a prefix has no ETag to compare with; leave it out")
    if IDEMPOTENCY_KEY in request.headers:
        raise HeaderInvalid(f"{IDEMPOTENCY_KEY}: it can be sent again without one; leave it out")
    return render_json(
        await request.app[STORE].delete_prefix(
            collection, query.prefix, int(query.limit), query.cursor
        )
    )
