"""The least that a batch of reads can cost in Python: without tallykv's contract, or with it.

Without it, the server decodes the request, sends one MGET over a connection of tallykv's own kind
and renders the values. With ``--contract`` it answers what tallykv answers, by tallykv's own
functions: it checks the keys, and decodes the records into ETag, TTL, content type and value.
Neither refuses anything, and neither has misses, limits, a deadline or signals.
"""

import gc
import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
from aiohttp import web

from svc.api.batch_results import got_result
from svc.domain.model import Key
from svc.stores.entry_codec import decode_all
from svc.stores.names import entry_name
from svc.stores.wire import Target, Wire, open_wire

from .serving import serve


class Get(msgspec.Struct, gc=False):
    op: str
    key: str


class Batch(msgspec.Struct):
    operations: list[Get]


class Got(msgspec.Struct, gc=False):
    status: int
    key: str
    value_b64: bytes


DECODE = msgspec.json.Decoder(Batch).decode
ENCODE = msgspec.json.Encoder().encode
REDIS = urlsplit(os.environ["REDIS_URL"])
TARGET = Target(host=REDIS.hostname or "", port=REDIS.port or 6379)

free: list[Wire] = []


async def read_all(names: list[Any]) -> list[Any]:
    wire = free.pop() if free else await open_wire(TARGET)
    words: tuple[Any, ...] = ("MGET", *names)
    (values,) = await wire.round_trip([hiredis.pack_command(words)], 1)
    free.append(wire)
    found: list[Any] = values
    return found


def answer(results: list[Any]) -> web.Response:
    return web.Response(body=ENCODE({"results": results}), content_type="application/json")


async def read_values(request: web.Request) -> web.Response:
    operations = DECODE(await request.read()).operations
    values = await read_all([each.key for each in operations])
    pairs = zip(operations, values, strict=True)
    return answer([Got(200, each.key, value) for each, value in pairs])


async def read_entries(request: web.Request) -> web.Response:
    keys = [Key(each.key) for each in DECODE(await request.read()).operations]
    records = await read_all([entry_name(key) for key in keys])
    entries = decode_all(records, time.time_ns() // 1_000_000)
    pairs = zip(keys, entries, strict=True)
    return answer([got_result(key.text, entry) for key, entry in pairs])


def build_app() -> web.Application:
    app = web.Application(client_max_size=4 << 20)
    handler = read_entries if "--contract" in sys.argv else read_values
    app.add_routes([web.post("/v1/batch", handler)])
    return app


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    serve(build_app())
