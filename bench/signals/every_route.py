"""Every route with every status that a client meets in its ordinary life."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench.frame.processes import BenchError
from bench.testbed.servers import Server

#: Sampled, so that exemplars swell the exposition too.
SAMPLED: Final = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
JSON: Final = {"Content-Type": "application/json"}
TEXT: Final = {"Content-Type": "text/plain"}
PATCH: Final = {"Content-Type": "application/merge-patch+json"}
#: More than stores/clock.py trusts an answer for.
QUIET_SECONDS: Final = 1.1
#: Above KV_MAX_BATCH_BYTES and KV_MAX_VALUE_BYTES.
TOO_LARGE: Final = b"x" * (4_194_304 + 1)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def ask_everything(server: Server, at_once: int = 1) -> int:
    """Send all of ordinary_requests(), and return how many there are.

    One after the other they meet every status; at once they wait for a stalled Redis together.
    """
    everything = list(ordinary_requests())
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(partial(status, server), everything))
    # The first read after a quiet moment asks Redis for its time.
    time.sleep(QUIET_SECONDS)
    status(server, Asked("GET", "/v1/kv/every"))
    return len(everything) + 1


def status(server: Server, asked: Asked) -> int:
    """Ask on a connection of its own, and return the answer's status."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    ) as client:
        try:
            client.request(asked.method, asked.path, asked.body or None, SAMPLED | asked.headers)
        except (BrokenPipeError, ConnectionResetError):
            # Refused before its body was read to the end: the answer is there all the same.
            if client.sock is None:
                raise BenchError(f"no answer to {asked.method} {asked.path}") from None
        with client.getresponse() as response:
            response.read()
            return response.status


def ordinary_requests() -> Iterator[Asked]:
    yield from _reads()
    yield from _entries()
    yield from _plain()
    yield from _counters()
    yield from _batches()


def _reads() -> Iterator[Asked]:
    for method in ("GET", "HEAD"):
        yield Asked(method, "/")
        yield Asked(method, "/v1/limits")
        for collection in ("/v1/kv", "/v1/kv/", "/v1/counters", "/v1/counters/"):
            yield Asked(method, collection)
            yield Asked(method, f"{collection}?limit=0")


def _entries() -> Iterator[Asked]:
    key, text, absent = "/v1/kv/every", "/v1/kv/every-text", "/v1/kv/absent"
    yield Asked("DELETE", key)
    yield Asked("PUT", key, b'{"a":1}', JSON)
    yield Asked("PUT", key, b'{"a":2}', JSON)
    yield Asked("PUT", text, b"text", TEXT)
    yield from _writes("PUT", key, b'{"a":3}', JSON)
    for method in ("GET", "HEAD"):
        yield Asked(method, key)
        yield Asked(method, absent)
        yield Asked(method, f"/v1/kv/{'x' * 600}")
        yield Asked(method, "/v1/kv/%FF")
        yield Asked(method, key, headers={"If-None-Match": "*"})
        yield Asked(method, key, headers={"If-Match": '"another"'})
    yield Asked("PATCH", key, b'{"b":1}', PATCH)
    yield Asked("PATCH", absent, b'{"b":1}', PATCH)
    yield Asked("PATCH", text, b'{"b":1}', PATCH)
    yield Asked("PATCH", key, b"b", TEXT)
    yield from _writes("PATCH", key, b'{"b":2}', PATCH)
    yield Asked("POST", "/v1/kv/every/", b'{"a":1}', JSON)
    yield Asked("POST", "/v1/kv/every", b'{"a":1}', JSON)
    yield from _writes("POST", "/v1/kv/every/", b'{"a":4}', JSON)
    yield from _writes("DELETE", f"{key}-gone", b"", {})
    yield Asked("DELETE", absent)
    yield Asked("DELETE", text, headers={"If-Match": '"another"'})
    yield Asked("DELETE", text)


def _plain() -> Iterator[Asked]:
    yield Asked("PUT", "/every/plain", b'{"a":1}')
    yield Asked("PUT", "/every/plain", b"[]")
    yield from _writes("PUT", "/every/plain", b'{"a":5}', {})
    yield Asked("PUT", "/v1/kv/every-text", b"text", TEXT)
    for method in ("GET", "HEAD"):
        yield Asked(method, "/every/plain")
        yield Asked(method, "/every/absent")
        yield Asked(method, "/every-text")
        yield Asked(method, f"/{'x' * 600}")
        yield Asked(method, "/%FF")


def _counters() -> Iterator[Asked]:
    name, steps = "/v1/counters/every", "/v1/counters/every/increments"
    yield Asked("PUT", name, b'{"value":1}')
    yield from _writes("PUT", name, b'{"value":2}', {})
    yield Asked("POST", steps, b'{"by":1}')
    yield Asked("POST", steps, b'{"by":1,"max":0}')
    yield from _writes("POST", steps, b'{"by":2}', {})
    for method in ("GET", "HEAD"):
        yield Asked(method, name)
        yield Asked(method, "/v1/counters/absent")
        yield Asked(method, "/v1/counters/n%C3%A4me")
    yield from _writes("DELETE", name, b"", {})
    yield Asked("DELETE", "/v1/counters/absent")
    yield Asked("DELETE", "/v1/counters/n%C3%A4me")


def _batches() -> Iterator[Asked]:
    operation = {"op": "get", "key": "every"}
    body = json.dumps({"operations": [operation]}).encode()
    yield Asked("POST", "/v1/batch", body, JSON)
    yield Asked("POST", "/v1/batch", b"{", JSON)
    yield Asked("POST", "/v1/batch", body, {**JSON, "Content-Encoding": "br"})
    yield Asked("POST", "/v1/batch", TOO_LARGE, JSON)


def _writes(method: str, path: str, body: bytes, headers: dict[str, str]) -> Iterator[Asked]:
    """Give what any write can be refused for, and a retry of it."""
    key = {"Idempotency-Key": f'"{method}-{path}"'}
    yield Asked(method, path, body, {**headers, **key})
    yield Asked(method, path, body, {**headers, **key})
    other = body.replace(b"}", b" }") if body else b""
    yield Asked(method, path if body else f"{path}?", other, {**headers, **key})
    yield Asked(method, path, body, {**headers, "If-Match": '"another"'})
    yield Asked(method, path, body, {**headers, "Idempotency-Key": "é"})
    yield Asked(method, f"{path}?surprise=1", body, headers)
    if body:
        yield Asked(method, path, body, {**headers, "Prefer": "return=minimal"})
        yield Asked(method, path, b"{", headers or JSON)
        yield Asked(method, path, TOO_LARGE, headers)
        yield Asked(method, path, body, {**headers, "Content-Encoding": "br"})
