"""What is asked: each operation as the very bytes that go over the wire."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

KEYS: Final = 10_000
VALUE: Final = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=1024))
BATCH: Final = 100
#: Different batches that are asked for: enough that no two in a row are alike.
BATCHES: Final = 500
OCTETS: Final = "application/octet-stream"

Check = Callable[[bytes], bool]


@dataclass(frozen=True)
class Operation:
    """Requests of one kind, to be sent in random order."""

    name: str
    title: str
    requests: tuple[bytes, ...]
    #: Whether an answer's body is the one meant; its status must be 2xx in any case.
    is_right: Check
    #: How many of the API's operations one request carries.
    size: int = 1


def request(method: str, path: str, body: bytes = b"", content_type: str | None = None) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if content_type is not None:
        head.append(f"Content-Type: {content_type}")
    if body or method in {"PUT", "POST"}:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def keys() -> list[str]:
    return [f"key-{i}" for i in range(KEYS)]


def counters() -> list[str]:
    return [f"counter-{i}" for i in range(KEYS)]


def batch(operations: Iterable[dict[str, Any]]) -> bytes:
    body = json.dumps({"operations": list(operations)}).encode()
    return request("POST", "/v1/batch", body, "application/json")


def hello_operations() -> list[Operation]:
    return [Operation("hello", "GET / (hello)", (request("GET", "/"),), bool)]


def tallykv_operations() -> list[Operation]:
    draw = random.Random(2)
    adds = [
        batch({"op": "add", "counter": name} for name in draw.sample(counters(), BATCH))
        for _ in range(BATCHES)
    ]
    steps = tuple(request("POST", f"/v1/counters/{name}/increments") for name in counters())
    hot = request("POST", "/v1/counters/hot/increments")
    return [
        _gets("/v1/kv/{key}"),
        _puts("/v1/kv/{key}"),
        Operation("hot", "increment, one hot counter", (hot,), _counts),
        Operation("spread", "increment, 10 000 counters", steps, _counts),
        _batches_of_gets(_all_got),
        Operation("batch-add", "batch of 100 adds, each", tuple(adds), _all_done, BATCH),
    ]


def bare_operation() -> Operation:
    """Return what asks no store, tallykv's nearest to a hello."""
    wire = (request("GET", "/v1/limits"),)
    return Operation("limits", "GET /v1/limits, no store", wire, bool)


#: The kinds of tallykv's operations in a mixed load, by weight.
MIX: Final = {"get": 60, "put": 20, "hot": 9, "spread": 10, "batch-get": 1}


def mixed_operation() -> Operation:
    """Return one operation whose requests are of many kinds."""
    wire = [
        each
        for operation in tallykv_operations()
        for each in _times(operation.requests, MIX.get(operation.name, 0) * BATCH)
    ]
    return Operation("mix", "a mix", tuple(wire), bool)


def _times(requests: tuple[bytes, ...], count: int) -> Iterable[bytes]:
    return islice(cycle(requests), count)


def peer_operations() -> list[Operation]:
    hot = request("POST", "/counters/hot")
    return [
        _gets("/kv/{key}"),
        _puts("/kv/{key}"),
        Operation("hot", "increment, one hot counter", (hot,), _counts),
    ]


def floor_operations() -> list[Operation]:
    return [_batches_of_gets(_all_done)]


def webdis_operations() -> list[Operation]:
    return [_gets("/GET/{key}.txt")]


def _batches_of_gets(is_right: Check) -> Operation:
    draw = random.Random(3)
    wire = tuple(
        batch({"op": "get", "key": key} for key in draw.sample(keys(), BATCH))
        for _ in range(BATCHES)
    )
    return Operation("batch-get", "batch of 100 gets, each", wire, is_right, BATCH)


def _gets(path: str) -> Operation:
    wire = tuple(request("GET", path.format(key=key)) for key in keys())
    return Operation("get", "GET, 1 KiB", wire, lambda body: body == VALUE)


def _puts(path: str) -> Operation:
    wire = tuple(request("PUT", path.format(key=key), VALUE, OCTETS) for key in keys())
    return Operation("put", "PUT, 1 KiB", wire, lambda _: True)


def _counts(body: bytes) -> bool:
    return isinstance(json.loads(body)["value"], int)


def _all_got(body: bytes) -> bool:
    results = json.loads(body)["results"]
    return len(results) == BATCH and all(
        result["status"] == 200 and result["content_type"] == OCTETS for result in results
    )


def _all_done(body: bytes) -> bool:
    results = json.loads(body)["results"]
    return len(results) == BATCH and all(result["status"] == 200 for result in results)
