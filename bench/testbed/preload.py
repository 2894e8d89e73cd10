"""What the stores hold before anything is measured."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import struct
import time
from typing import Final

import redis

from svc.domain.model import Draft, Key
from svc.stores import record
from svc.stores.names import entry_name

from ..frame.processes import BenchError
from .operations import BATCH, OCTETS, VALUE, keys

CHUNK: Final = 10_000
YEAR_SECONDS: Final = 31_104_000
#: Long enough that a listing reads all it ever reads of an entry, short enough for a million.
LISTED_BODY: Final = b"x" * 256


def preload_tallykv(port: int) -> None:
    """Put every entry through the service itself, so that they are as any user's."""
    value = base64.b64encode(VALUE).decode("ascii")
    names = keys()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for start in range(0, len(names), BATCH):
            operations = [
                {"op": "put", "key": name, "value_b64": value, "content_type": OCTETS}
                for name in names[start : start + BATCH]
            ]
            body = json.dumps({"operations": operations})
            client.request("POST", "/v1/batch", body, {"Content-Type": "application/json"})
            with client.getresponse() as response:
                answer = response.read()
            if response.status != 200 or any(
                result["status"] != 201 for result in json.loads(answer)["results"]
            ):
                raise BenchError(f"tallykv refused entries: {answer[:300]!r}")


def preload_peers(redis_port: int) -> None:
    """Set the values as they are, under the keys as they are."""
    with contextlib.closing(redis.Redis(port=redis_port)) as client:
        client.mset(dict.fromkeys(keys(), VALUE))


def fill(redis_port: int, entries: int) -> None:
    """Write that many entries behind the service's back, as it would lay them down."""
    versions = record.Versions()
    now = int(time.time() * 1000)
    times = struct.pack(">QQ", now, now + YEAR_SECONDS * 1000)
    draft = Draft(LISTED_BODY, OCTETS, YEAR_SECONDS, is_json=False)
    with contextlib.closing(redis.Redis(port=redis_port)) as client:
        for start in range(0, entries, CHUNK):
            pipeline = client.pipeline(transaction=False)
            for i in range(start, min(start + CHUNK, entries)):
                head, tail = record.encode(draft, versions.next())
                name = entry_name(Key(f"entry-{i:07}"))
                pipeline.set(name, head + times + tail, ex=YEAR_SECONDS)
            pipeline.execute()
        size = client.dbsize()
    if size != entries:
        raise BenchError(f"Redis holds {size} entries, not {entries}")
