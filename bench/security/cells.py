"""The table of routes, scopes and prefixes: every request, what it needs, and who may send it.

A name stands for the key or the counter that the request is about. Each request is sent for names
of the caller's own prefix and for foreign ones, once while these exist and once while they do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: The tokens: each scope alone for one team, and all scopes.
TOKENS: Final = {
    "reader": "read keys=team-a/ counters=team-a:",
    "writer": "write keys=team-a/ counters=team-a:",
    "deleter": "delete keys=team-a/ counters=team-a:",
    "owner": "read,write,delete keys=team-a/ counters=team-a:",
    "entries": "read,write,delete keys=team-a/",
    "admin": "admin",
}
SCOPES_OF: Final = {name: set(rest.split(" ")[0].split(",")) for name, rest in TOKENS.items()}

OWN_KEYS: Final = ("team-a/x", "team-a%2Fy", "team-a/deep/z", "%74eam-a/w")
#: Nearly the own prefix: another team, another case, the prefix without its slash, as a part.
FOREIGN_KEYS: Final = (
    "team-b/x",
    "team-a",
    "team-ab/x",
    "Team-a/x",
    "TEAM-A/X",
    "team-a%252Fx",
    "xteam-a/x",
    "team-b/team-a/x",
    "team-b%2Fteam-a%2Fx",
    "%20team-a/x",
    "team-a%EF%BC%8Fx",
)
OWN_COUNTERS: Final = ("team-a:x", "team-a:")
FOREIGN_COUNTERS: Final = ("team-b:x", "team-a", "Team-a:x", "team-b:team-a:x")


@dataclass(frozen=True)
class Request:
    """A request, the scope that it needs, and the statuses that it has when it is allowed."""

    route: str
    method: str
    path: str
    scope: str
    good: frozenset[int]
    body: bytes = b""
    content_type: str = "application/json"


def requests_on_key(key: str) -> Iterator[Request]:
    """Yield every request about an entry; ``key`` is percent-encoded."""
    path = f"/v1/kv/{key}"
    read, missing = frozenset({200, 404}), frozenset({204, 404})
    yield Request("read", "GET", path, "read", read)
    yield Request("head", "HEAD", path, "read", read)
    yield Request("plain read", "GET", f"/{key}", "read", read)
    yield Request("write", "PUT", path, "write", frozenset({200, 201}), b"{}")
    yield Request("plain write", "PUT", f"/{key}", "write", frozenset({201}), b"{}")
    yield Request(
        *("patch", "PATCH", path, "write", read, b'{"a":1}', "application/merge-patch+json")
    )
    yield Request("delete", "DELETE", path, "delete", missing)


def requests_on_counter(name: str) -> Iterator[Request]:
    """Yield every request about a counter."""
    path = f"/v1/counters/{name}"
    found = frozenset({200, 404})
    yield Request("read counter", "GET", path, "read", found)
    yield Request("set counter", "PUT", path, "write", frozenset({200}), b'{"value":7}')
    yield Request("increment", "POST", f"{path}/increments", "write", frozenset({200}))
    yield Request(
        *("bounded", "POST", f"{path}/increments", "write", frozenset({200}), b'{"max":1000000}')
    )
    yield Request("delete counter", "DELETE", path, "delete", frozenset({204, 404}))


#: By collection: prefixes of own names and of foreign ones, and prefixes of foreign names alone.
OWN_PREFIXES: Final = {"kv": ("team-", "team-a/"), "counters": ("team-", "team-a:")}
FOREIGN_PREFIXES: Final = ("team-b", "team-ab", "Team-a", "x")


def deletion(kind: str, prefix: str) -> Request:
    """Return the request that deletes all names with the prefix: ``kv`` or ``counters``."""
    path = f"/v1/{kind}?limit=1000&prefix={prefix}"
    return Request(f"delete {kind} by prefix", "DELETE", path, "delete", frozenset({200}))


Needed = tuple[str, dict[str, str]]


def operations(keys: tuple[str, ...], counters: tuple[str, ...]) -> list[Needed]:
    """Return a batch's operations on decoded names, each with the scope that it needs."""
    found: list[Needed] = []
    for key in keys:
        found += [
            ("read", {"op": "get", "key": key}),
            ("write", {"op": "put", "key": key, "value_b64": "eA=="}),
            ("write", {"op": "put", "key": key, "value_b64": "eA==", "ttl": "keep"}),
            ("read", {"op": "get", "key": key, "if_none_match": "*"}),
            ("delete", {"op": "delete", "key": key}),
        ]
    for name in counters:
        found += [
            ("write", {"op": "add", "counter": name}),
            ("write", {"op": "add", "counter": name, "idempotency_key": "k"}),
        ]
    return found


def batch_of(some: list[Needed]) -> bytes:
    return json.dumps({"operations": [operation for _, operation in some]}).encode()
