"""The requests of the largest size: each route, each answer that a large body can get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.testbed.operations import render_request

MIB: Final = 1 << 20
LARGE: Final = bytes(MIB)
JSON: Final = {"Content-Type": "application/json"}
PATCH: Final = {"Content-Type": "application/merge-patch+json"}
FALSE: Final = {"If-Match": '"x"'}
USED: Final = {"Idempotency-Key": "used"}

#: Stored before: the entries that are read, a JSON object, and the use of an idempotency key.
PREPARED: Final = [
    ("PUT", "/v1/kv/small", b"v", {}),
    ("PUT", "/v1/kv/json", b'{"a":1}', JSON),
    ("PUT", "/v1/kv/used", b"v", USED),
    *(("PUT", f"/v1/kv/large{i}", LARGE, {}) for i in range(20)),
    ("PUT", "/object", b'{"v":"' + b"x" * (MIB - 100) + b'"}', {}),
]


@dataclass(frozen=True)
class Attack:
    """What each of the clients does again and again, and the statuses that it may get.

    ``end``: "read" the answer; "cut": close in the middle of the body; "deaf": never read, on a
    connection that is kept open for a while; "slow": send the body in a few parts.
    """

    request: bytes
    statuses: frozenset[int]
    end: str = "read"


def _attack(method: str, path: str, body: bytes, headers: dict[str, str], *statuses: int) -> Attack:
    # Any large request may find the budget used up.
    return Attack(render_request(method, path, body, headers), frozenset({*statuses, 503}))


def _batch(*operations: Mapping[str, object]) -> bytes:
    return json.dumps({"operations": operations}).encode()


def _fill(part: bytes, count: int) -> bytes:
    return b'{"v":[' + b",".join([part] * count) + b"]}"


_TEXT: Final = "x" * (MIB - 1000)
_OBJECT: Final = b'{"v":"' + b"x" * (MIB - 100) + b'"}'
_PUTS: Final = [{"op": "put", "key": f"b{i}", "value": _TEXT} for i in range(3)]
_GETS: Final = [{"op": "get", "key": f"large{i % 20}"} for i in range(100)]
_NODES: Final = _fill(b"[]", 199_000)

_ANSWERED: Final = {
    "put 200": _attack("PUT", "/v1/kv/k", LARGE, {}, 200, 201),
    "put 400": _attack("PUT", "/v1/kv/k?ttl=0", LARGE, {}, 400),
    "put 400 json": _attack("PUT", "/v1/kv/k", _OBJECT[:-1], JSON, 400),
    "put 412": _attack("PUT", "/v1/kv/small", LARGE, FALSE, 412),
    "put 413": _attack("PUT", "/v1/kv/k", LARGE + b"x", {}, 413),
    "put 415": _attack("PUT", "/v1/kv/k", LARGE, {"Content-Encoding": "br"}, 415),
    "put 422": _attack("PUT", "/v1/kv/used", LARGE, USED, 422),
    "put json": _attack("PUT", "/v1/kv/k", _OBJECT, JSON, 200, 201),
    "put json nodes": _attack("PUT", "/v1/kv/k", _NODES, JSON, 200, 201),
    "post 201": _attack("POST", "/v1/kv/new/", LARGE, {}, 201),
    "post 400": _attack("POST", "/v1/kv/new/", LARGE, FALSE, 400),
    "patch 200": _attack("PATCH", "/v1/kv/json", _OBJECT, PATCH, 200),
    "patch 404": _attack("PATCH", "/v1/kv/none", _OBJECT, PATCH, 404),
    "patch 409": _attack("PATCH", "/v1/kv/small", _OBJECT, PATCH, 409),
    "patch 412": _attack("PATCH", "/v1/kv/json", _OBJECT, {**PATCH, **FALSE}, 412),
    "patch 415": _attack("PATCH", "/v1/kv/json", _OBJECT, {}, 415),
    "plain 201": _attack("PUT", "/plain", _OBJECT, {}, 201),
    "plain 400": _attack("PUT", "/plain", b"[" + _OBJECT[:-2], {}, 400),
    "plain 412": _attack("PUT", "/object", _OBJECT, FALSE, 412),
    "counter 413": _attack("PUT", "/v1/counters/c", LARGE, {}, 413),
    "increment 413": _attack("POST", "/v1/counters/c/increments", LARGE, {}, 413),
    "no route 405": _attack("POST", "/v1/counters/c", LARGE, {}, 405),
    "get 200": _attack("GET", "/v1/kv/large0", b"", {}, 200),
    "plain get": _attack("GET", "/object", b"", {}, 200),
    "batch puts": _attack("POST", "/v1/batch", _batch(*_PUTS), {}, 200),
    "batch puts 412": _attack(
        "POST", "/v1/batch", _batch(*({**each, "if_match": "x"} for each in _PUTS)), {}, 200
    ),
    "batch 400": _attack("POST", "/v1/batch", bytes(4 * MIB), {}, 400),
    "batch gets": _attack("POST", "/v1/batch", _batch(*_GETS), {}, 200),
}

ATTACKS: Final[dict[str, Attack]] = {
    **_ANSWERED,
    **{
        f"{name.split()[0]} {end}": Attack(_ANSWERED[name].request, _ANSWERED[name].statuses, end)
        for end, names in {
            "cut": ("put 200", "plain 201", "patch 200", "batch puts"),
            "slow": ("put 200", "plain 201", "patch 200", "batch puts"),
            "deaf": ("get 200", "batch gets"),
        }.items()
        for name in names
    },
}
