"""One request of every kind that uses the store; those that change something are separate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Verb:
    """A request with a fixed path, so that another response means that the store changed."""

    name: str
    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _headers(**headers: str) -> dict[str, Any]:
    return {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}


READS: Final = (
    Verb("read", "GET", "/v1/kv/verb"),
    Verb("list", "GET", "/v1/kv?prefix=verb"),
    Verb("read counter", "GET", "/v1/counters/verb"),
    Verb("list counters", "GET", "/v1/counters?prefix=verb"),
    Verb("plain read", "GET", "/verb"),
)
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
CHANGES: Final = (
    Verb("put", "PUT", "/v1/kv/verb", {"json": {"n": 1}}),
    Verb("put keep", "PUT", "/v1/kv/verb?ttl=keep", {"json": {"n": 1}}),
    Verb("put if", "PUT", "/v1/kv/verb", {"json": {"n": 1}, **_headers(If_Match="*")}),
    Verb("put once", "PUT", "/v1/kv/verb", {"json": {"n": 1}, **_headers(Idempotency_Key="p")}),
    Verb("patch", "PATCH", "/v1/kv/verb", {"data": b'{"n":2}', "headers": MERGE}),
    Verb("post", "POST", "/v1/kv/verbs/", {"json": {"n": 1}}),
    Verb("post once", "POST", "/v1/kv/verbs/", {"json": {"n": 1}, **_headers(Idempotency_Key="c")}),
    Verb("plain put", "PUT", "/verb", {"json": {"n": 1}}),
    Verb("step", "POST", "/v1/counters/verb/increments"),
    Verb("step bounded", "POST", "/v1/counters/verb/increments", {"json": {"max": 10**9}}),
    Verb("step once", "POST", "/v1/counters/verb/increments", _headers(Idempotency_Key="s")),
    Verb("set counter", "PUT", "/v1/counters/verb", {"json": {"value": 7}}),
    Verb("hit", "GET", "/"),
    Verb("delete", "DELETE", "/v1/kv/verb"),
    Verb("delete counter", "DELETE", "/v1/counters/verb"),
)
