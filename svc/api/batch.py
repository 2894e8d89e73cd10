"""``/v1/batch``: many operations in one request, with as few round trips as their order allows."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from ..domain.errors import HeaderInvalid
from .batch_body import read_operations
from .batch_runner import Batch
from .bodies import AddOperation, DeleteOperation, GetOperation, NoQuery, PutOperation
from .budget import BUDGET, take_bytes
from .context import CHARGING, ROLES, STORE
from .idempotency import operation_of
from .json_turns import JSON_TURNS
from .limits import LIMITS
from .preconditions import precondition_of
from .rendering import render_json
from .requests import read_bytes, read_query

#: The class of each operation in the rates of requests: that of its own request.
CLASSES: Final = {
    GetOperation: "read",
    PutOperation: "write",
    AddOperation: "write",
    DeleteOperation: "delete",
}


async def run(request: web.Request) -> web.Response:
    read_query(request, NoQuery)
    limits = request.app[LIMITS]
    raw = await read_bytes(request, limits.max_batch_bytes, "body")
    turns = request.app[JSON_TURNS]
    reading = read_operations(raw, limits.max_batch_operations)
    operations, only_reads = await turns.run(len(raw), reading)
    if CHARGING in request.app:
        counts = Counter(CLASSES[type(each)] for each in operations)
        await request.app[CHARGING].charge(request, counts)
    if precondition_of(request) is not None:
        raise HeaderInvalid("If-Match: a batch has no ETag; give if_match to its operations")
    take, has_room = partial(take_bytes, request), request.app[BUDGET].has_room
    batch = Batch(request.app[STORE], limits, request.app[ROLES], take, has_room)
    replayed = False
    if (operation := operation_of(request, "batch", raw)) is not None:
        replayed = await batch.bind(operation)
    results = None
    if only_reads and "kv" in request.app[ROLES]:
        results = await batch.read(operations)
    if results is None:
        groups = await turns.run(len(raw), batch.parse(operations))
        results = await batch.run(groups)
    response = render_json({"results": results})
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
