"""The least that a batch of reads can cost in Python.

It decodes the request, sends one MGET over a connection of tallykv's own kind and renders the
values. It checks no key, refuses nothing and has no deadline, ETag, TTL or content type. Everything
that tallykv's batch costs more is the price of its contract.
"""

import gc
import os
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
from aiohttp import web

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


async def read_batch(request: web.Request) -> web.Response:
    operations = DECODE(await request.read()).operations
    wire = free.pop() if free else await open_wire(TARGET)
    words: tuple[Any, ...] = ("MGET", *[each.key for each in operations])
    command = hiredis.pack_command(words)
    (values,) = await wire.round_trip([command], 1)
    free.append(wire)
    pairs = zip(operations, values, strict=True)
    results = [Got(200, each.key, value) for each, value in pairs]
    return web.Response(body=ENCODE({"results": results}), content_type="application/json")


def build_app() -> web.Application:
    app = web.Application(client_max_size=4 << 20)
    app.add_routes([web.post("/v1/batch", read_batch)])
    return app


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    serve(build_app())
