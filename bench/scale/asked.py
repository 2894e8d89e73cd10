"""What is asked at each point, and what the store holds for it."""

from __future__ import annotations

import contextlib
import http.client
import random
from typing import Final

from bench.frame.processes import BenchError
from bench.testbed.operations import OCTETS, Operation, request
from bench.testbed.preload import LISTED_BODY

#: So many of a large store's keys are asked for: more than fit any core's cache.
MOST_ASKED: Final = 100_000
#: Values of one size take at most so much of the store.
MOST_BYTES: Final = 32 * 1_048_576
MOST_VALUES: Final = 1000


def reads_among(entries: int) -> Operation:
    """Return GETs all over a store that ``bench.testbed.preload.fill`` has filled."""
    draw = random.Random(entries)
    chosen = draw.sample(range(entries), min(entries, MOST_ASKED))
    wire = tuple(request("GET", f"/v1/kv/entry-{i:07}") for i in chosen)
    return Operation(f"get-of-{entries}", f"GET, of {entries:,}", wire, LISTED_BODY.__eq__)


def writes_among(entries: int) -> Operation:
    draw = random.Random(entries)
    chosen = draw.sample(range(entries), min(entries, MOST_ASKED))
    wire = tuple(request("PUT", f"/v1/kv/entry-{i:07}", LISTED_BODY, OCTETS) for i in chosen)
    return Operation(f"put-of-{entries}", f"PUT, of {entries:,}", wire, lambda _: True)


def value_of(size: int) -> bytes:
    return bytes(random.Random(size).choices(b"abcdefghijklmnopqrstuvwxyz", k=size))


def reads_sized(size: int) -> Operation:
    wire = tuple(request("GET", path) for path in _paths(size))
    value = value_of(size)
    return Operation(f"get-{size}", f"GET, {shown_bytes(size)}", wire, value.__eq__)


def writes_sized(size: int) -> Operation:
    value = value_of(size)
    wire = tuple(request("PUT", path, value, OCTETS) for path in _paths(size))
    return Operation(f"put-{size}", f"PUT, {shown_bytes(size)}", wire, lambda _: True)


def preload_sized(port: int, size: int) -> None:
    """Put every value of this size through the service."""
    value = value_of(size)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for path in _paths(size):
            client.request("PUT", path, value, {"Content-Type": OCTETS})
            with client.getresponse() as response:
                answer = response.read()
            if response.status != 201:
                raise BenchError(f"tallykv refused {path}: {answer[:300]!r}")


def shown_bytes(size: int) -> str:
    for unit, name in ((1_048_576, "MiB"), (1024, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def _paths(size: int) -> list[str]:
    count = min(MOST_VALUES, MOST_BYTES // size)
    return [f"/v1/kv/sized-{size}-{i}" for i in range(count)]
