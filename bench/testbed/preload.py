"""The data that the stores hold before a measurement."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
from typing import Final

import redis

from bench.frame.errors import BenchError
from svc.domain.model import Draft, Key
from svc.stores import entry_codec
from svc.stores.names import entry_name

from .http_client import exchange
from .operations import BATCH, OCTETS, VALUE, batch_request, keys

CHUNK: Final = 10_000
YEAR_SECONDS: Final = 31_104_000
#: As much as a listing reads of an entry, and small enough for a million entries.
FILLED_BODY: Final = b"x" * 256


def preload_tallykv(port: int) -> None:
    """Write every entry through the service; raise BenchError."""
    value = base64.b64encode(VALUE).decode("ascii")
    names = keys()
    for start in range(0, len(names), BATCH):
        puts = (
            {
                "op": "put",
                "key": name,
                "value_b64": value,
                "content_type": OCTETS["Content-Type"],
            }
            for name in names[start : start + BATCH]
        )
        status, body = exchange(port, batch_request(puts))
        if status != 200 or any(each["status"] != 201 for each in json.loads(body)["results"]):
            raise BenchError(f"tallykv refused entries: {body[:300]!r}")


def preload_peers(redis_port: int) -> None:
    """Write the values of the other services straight to Redis."""
    with contextlib.closing(redis.Redis(port=redis_port)) as client:
        client.mset(dict.fromkeys(keys(), VALUE))


def fill_redis(redis_port: int, entries: int) -> None:
    """Write that many entries straight to Redis, in tallykv's own format; raise BenchError."""
    versions = entry_codec.Versions()
    now = int(time.time() * 1000)
    times = struct.pack(">QQ", now, now + YEAR_SECONDS * 1000)
    draft = Draft(FILLED_BODY, OCTETS["Content-Type"], YEAR_SECONDS, is_json=False)
    with contextlib.closing(redis.Redis(port=redis_port)) as client:
        for start in range(0, entries, CHUNK):
            pipeline = client.pipeline(transaction=False)
            for i in range(start, min(start + CHUNK, entries)):
                head, tail = entry_codec.encode(draft, versions.next())
                name = entry_name(Key(f"entry-{i:07}"))
                pipeline.set(name, b"".join((head, times, *tail)), ex=YEAR_SECONDS)
            pipeline.execute()
        size = client.dbsize()
    if size != entries:
        raise BenchError(f"Redis holds {size} entries, not {entries}")
