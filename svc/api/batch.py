"""``/v1/batch``: many operations in one request, with as few round trips as their order allows."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import hdrs, web

from ..domain.errors import (
    BodyInvalid,
    HeaderInvalid,
)
from .batch_runner import Batch
from .bodies import (
    BatchBody,
    GetOperation,
    NoQuery,
    render_json,
)
from .budget import take_bytes
from .context import ROLES, STORE
from .idempotency import operation_of
from .limits import LIMITS
from .preconditions import precondition_of
from .requests import read_bytes, read_query
from .strict_json import decode_body, occur_exactly, reject_duplicate_keys

_decoder: Final = msgspec.json.Decoder(BatchBody)


async def run(request: web.Request) -> web.Response:
    read_query(request, NoQuery)
    limits = request.app[LIMITS]
    raw = await read_bytes(request, limits.max_batch_bytes, "body")
    operations = decode_body(raw, _decoder).operations
    if not 1 <= len(operations) <= limits.max_batch_operations:
        raise BodyInvalid(
            f"operations: there are {len(operations)};"
            f" a batch holds 1 to {limits.max_batch_operations}"
        )
    only_reads = all(
        type(operation) is GetOperation
        and operation.if_match is None
        and operation.if_none_match is None
        for operation in operations
    )
    # Each read has one "op" and one "key". If the names occur as often as there are reads, no
    # read has a duplicate, and a full parse for duplicates is not needed.
    names = {"operations": 1, "op": len(operations), "key": len(operations)}
    names |= {"if_match": 0, "if_none_match": 0}
    if not (only_reads and occur_exactly(names, raw)):
        reject_duplicate_keys(raw)
    if precondition_of(request) is not None:
        raise HeaderInvalid("If-Match: a batch has no ETag; give if_match to its operations")
    batch = Batch(
        request.app[STORE], limits, request.app[ROLES], lambda size: take_bytes(request, size)
    )
    replayed = False
    if (operation := operation_of(request, "batch", raw)) is not None:
        replayed = await batch.bind(operation)
    run = batch.read if only_reads and "kv" in request.app[ROLES] else batch.run
    response = render_json({"results": await run(operations)})
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
