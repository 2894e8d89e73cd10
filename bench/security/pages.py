"""Hostile requests of browsers: what a web page makes the browser of a user of the service send.

Pure. The requests are as browsers send them, with the headers that no page can change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

EVIL: Final = "https://evil.example"
FORM: Final = {"Content-Type": "text/plain"}
DELETE: Final = b'{"operations":[{"op":"delete","key":"k"}]}'


def refused(status: int, headers: Mapping[str, str]) -> bool:
    """Return True if nothing was done, and the page may not read why."""
    return status == 403 and "access-control-allow-origin" not in headers


def misdirected(status: int, _: Mapping[str, str]) -> bool:
    return status == 421


def unreadable(_: int, headers: Mapping[str, str]) -> bool:
    """Return True if the browser keeps the answer from the page."""
    return not [name for name in headers if name.startswith("access-control-")]


@dataclass(frozen=True)
class Hostile:
    """A request that must come to nothing."""

    name: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    holds: Callable[[int, Mapping[str, str]], bool] = refused
    host: str = "localhost"
    is_admin_port: bool = False


CASES: Final = (
    Hostile(
        *("a form of another site deletes in a batch", "POST", "/v1/batch"),
        {**FORM, "Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        DELETE,
    ),
    Hostile(
        *("a browser without Sec-Fetch-Site does the same", "POST", "/v1/batch"),
        {**FORM, "Origin": EVIL},
        DELETE,
    ),
    Hostile(
        *("a sandboxed frame writes (Origin: null)", "POST", "/v1/kv/c/"),
        {**FORM, "Origin": "null"},
        b"x",
    ),
    Hostile(
        *("a sister site writes (same-site)", "POST", "/v1/kv/c/"),
        {**FORM, "Sec-Fetch-Site": "same-site"},
        b"x",
    ),
    Hostile(
        *("another port of localhost counts up", "POST", "/v1/counters/n/increments"),
        {"Origin": "http://localhost:1"},
    ),
    Hostile(
        *("a page asks whether it may delete (preflight)", "OPTIONS", "/v1/kv/k"),
        {"Origin": EVIL, "Access-Control-Request-Method": "DELETE"},
        holds=unreadable,
    ),
    Hostile(
        *("a page reads an entry", "GET", "/v1/kv/k"),
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        holds=unreadable,
    ),
    Hostile(
        *("a page whose name is 127.0.0.1 reads (rebinding)", "GET", "/v1/kv/k"),
        holds=misdirected,
        host="evil.example",
    ),
    Hostile(
        *("the same at the admin port", "GET", "/metrics"),
        holds=misdirected,
        host="evil.example",
        is_admin_port=True,
    ),
)
