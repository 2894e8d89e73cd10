"""The operations that are measured, each as the bytes of its requests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

KEYS: Final = 10_000
VALUE: Final = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=1024))
BATCH: Final = 100
#: Different batches, so that no two in a row are alike.
BATCHES: Final = 500
HOT: Final = "increment, one hot counter"
OCTETS: Final = {"Content-Type": "application/octet-stream"}
JSON: Final = {"Content-Type": "application/json"}

#: Returns True if the body of an answer is right.
Check = Callable[[bytes], bool]


@dataclass(frozen=True)
class Operation:
    """Requests of one kind, to be sent in random order. Their answers have a status of 2xx."""

    name: str
    title: str
    requests: tuple[bytes, ...]
    is_right: Check
    #: How many of the API's operations one request contains.
    size: int = 1


def render_request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in {"PUT", "POST", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def keys() -> list[str]:
    return [f"key-{i}" for i in range(KEYS)]


def counters() -> list[str]:
    return [f"counter-{i}" for i in range(KEYS)]


def batch_request(operations: Iterable[dict[str, Any]], path: str = "/v1/batch") -> bytes:
    body = json.dumps({"operations": list(operations)}).encode()
    return render_request("POST", path, body, JSON)


def hello_operations() -> list[Operation]:
    return [Operation("hello", "GET / (hello)", (render_request("GET", "/"),), bool)]


def tallykv_operations() -> list[Operation]:
    rng = random.Random(2)
    adds = [
        batch_request({"op": "add", "counter": name} for name in rng.sample(counters(), BATCH))
        for _ in range(BATCHES)
    ]
    increments = tuple(
        render_request("POST", f"/v1/counters/{name}/increments") for name in counters()
    )
    hot = render_request("POST", "/v1/counters/hot/increments")
    return [
        _gets("/v1/kv/{key}"),
        _puts("/v1/kv/{key}"),
        Operation("hot", HOT, (hot,), _is_counter),
        Operation("spread", "increment, 10 000 counters", increments, _is_counter),
        _batches_of_gets(_are_entries),
        Operation("batch-add", "batch of 100 adds, each", tuple(adds), _are_successes, BATCH),
    ]


def operation_without_store() -> Operation:
    """Return a request that tallykv answers without its store."""
    request = render_request("GET", "/v1/limits")
    return Operation("limits", "GET /v1/limits, no store", (request,), bool)


#: The weights of tallykv's operations in a mixed load.
MIX: Final = {"get": 60, "put": 20, "hot": 9, "spread": 10, "batch-get": 1}


def mixed_operation() -> Operation:
    """Return one operation whose requests are of all kinds in MIX."""
    requests = [
        request
        for operation in tallykv_operations()
        for request in islice(cycle(operation.requests), MIX.get(operation.name, 0) * BATCH)
    ]
    return Operation("mix", "a mix", tuple(requests), bool)


def peer_operations(paths: Mapping[str, str]) -> list[Operation]:
    """Return operations of another service. ``paths`` says by name "METHOD PATH" with {key}."""
    made = []
    for name, line in paths.items():
        method, path = line.split()
        if name == "get":
            made.append(_gets(path, method))
        elif name == "put":
            made.append(_puts(path, method))
        elif name == "hot":
            hot = render_request(method, path.format(key="hot"))
            made.append(Operation("hot", HOT, (hot,), _is_counter))
        else:
            made.append(_batches_of_gets(_are_successes, path))
    return made


def _batches_of_gets(is_right: Check, path: str = "/v1/batch") -> Operation:
    rng = random.Random(3)
    requests = tuple(
        batch_request(({"op": "get", "key": key} for key in rng.sample(keys(), BATCH)), path)
        for _ in range(BATCHES)
    )
    return Operation("batch-get", "batch of 100 gets, each", requests, is_right, BATCH)


def _gets(path: str, method: str = "GET") -> Operation:
    requests = tuple(render_request(method, path.format(key=key)) for key in keys())
    return Operation("get", "GET, 1 KiB", requests, VALUE.__eq__)


def _puts(path: str, method: str = "PUT") -> Operation:
    requests = tuple(render_request(method, path.format(key=key), VALUE, OCTETS) for key in keys())
    return Operation("put", "PUT, 1 KiB", requests, lambda _: True)


def _is_counter(body: bytes) -> bool:
    found = json.loads(body)
    return isinstance(found["value"] if isinstance(found, dict) else found, int)


def _are_entries(body: bytes) -> bool:
    results = json.loads(body)["results"]
    types = {result.get("content_type") for result in results}
    return _are_successes(body) and types == set(OCTETS.values())


def _are_successes(body: bytes) -> bool:
    results = json.loads(body)["results"]
    return len(results) == BATCH and all(result["status"] == 200 for result in results)
