"""Every route with every status that clients meet in normal operation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from bench.testbed.http_client import exchange
from bench.testbed.operations import JSON, render_request
from bench.testbed.servers import Service

#: Sampled requests leave exemplars, which make the exposition larger.
SAMPLED: Final = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
TEXT: Final = {"Content-Type": "text/plain"}
PATCH: Final = {"Content-Type": "application/merge-patch+json"}
#: Longer than stores/clock.py uses one answer of Redis.
QUIET_SECONDS: Final = 1.1
#: Above KV_MAX_BATCH_BYTES and KV_MAX_VALUE_BYTES.
TOO_LARGE: Final = b"x" * (4_194_304 + 1)


def send_to_every_route(server: Service, at_once: int = 1) -> int:
    """Send all requests below; return their number.

    One at a time they meet every status. Several at once wait together for a stopped Redis.
    """
    requests = [*_reads(), *_entries(), *_plain(), *_counters(), *_batches()]
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(partial(exchange, server.port), requests))
    # The first read after a pause asks Redis for its time.
    time.sleep(QUIET_SECONDS)
    exchange(server.port, _request("GET", "/v1/kv/every"))
    return len(requests) + 1


def _request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    return render_request(method, path, body, {**SAMPLED, **(headers or {})})


def _reads() -> Iterator[bytes]:
    for method in ("GET", "HEAD"):
        yield _request(method, "/")
        yield _request(method, "/v1/limits")
        for collection in ("/v1/kv", "/v1/kv/", "/v1/counters", "/v1/counters/"):
            yield _request(method, collection)
            yield _request(method, f"{collection}?limit=0")


def _entries() -> Iterator[bytes]:
    key, text, absent = "/v1/kv/every", "/v1/kv/every-text", "/v1/kv/absent"
    yield _request("DELETE", key)
    yield _request("PUT", key, b'{"a":1}', JSON)
    yield _request("PUT", key, b'{"a":2}', JSON)
    yield _request("PUT", text, b"text", TEXT)
    yield from _writes("PUT", key, b'{"a":3}', JSON)
    for method in ("GET", "HEAD"):
        yield _request(method, key)
        yield _request(method, absent)
        yield _request(method, f"/v1/kv/{'x' * 600}")
        yield _request(method, "/v1/kv/%FF")
        yield _request(method, key, headers={"If-None-Match": "*"})
        yield _request(method, key, headers={"If-Match": '"another"'})
    yield _request("PATCH", key, b'{"b":1}', PATCH)
    yield _request("PATCH", absent, b'{"b":1}', PATCH)
    yield _request("PATCH", text, b'{"b":1}', PATCH)
    yield _request("PATCH", key, b"b", TEXT)
    yield from _writes("PATCH", key, b'{"b":2}', PATCH)
    yield _request("POST", "/v1/kv/every/", b'{"a":1}', JSON)
    yield _request("POST", "/v1/kv/every", b'{"a":1}', JSON)
    yield from _writes("POST", "/v1/kv/every/", b'{"a":4}', JSON)
    yield from _writes("DELETE", f"{key}-gone", b"", {})
    yield _request("DELETE", absent)
    yield _request("DELETE", text, headers={"If-Match": '"another"'})
    yield _request("DELETE", text)


def _plain() -> Iterator[bytes]:
    yield _request("PUT", "/every/plain", b'{"a":1}')
    yield _request("PUT", "/every/plain", b"[]")
    yield from _writes("PUT", "/every/plain", b'{"a":5}', {})
    yield _request("PUT", "/v1/kv/every-text", b"text", TEXT)
    for method in ("GET", "HEAD"):
        yield _request(method, "/every/plain")
        yield _request(method, "/every/absent")
        yield _request(method, "/every-text")
        yield _request(method, f"/{'x' * 600}")
        yield _request(method, "/%FF")


def _counters() -> Iterator[bytes]:
    name, steps = "/v1/counters/every", "/v1/counters/every/increments"
    yield _request("PUT", name, b'{"value":1}')
    yield from _writes("PUT", name, b'{"value":2}', {})
    yield _request("POST", steps, b'{"by":1}')
    yield _request("POST", steps, b'{"by":1,"max":0}')
    yield from _writes("POST", steps, b'{"by":2}', {})
    for method in ("GET", "HEAD"):
        yield _request(method, name)
        yield _request(method, "/v1/counters/absent")
        yield _request(method, "/v1/counters/n%C3%A4me")
    yield from _writes("DELETE", name, b"", {})
    yield _request("DELETE", "/v1/counters/absent")
    yield _request("DELETE", "/v1/counters/n%C3%A4me")


def _batches() -> Iterator[bytes]:
    operation = {"op": "get", "key": "every"}
    body = json.dumps({"operations": [operation]}).encode()
    yield _request("POST", "/v1/batch", body, JSON)
    yield _request("POST", "/v1/batch", b"{", JSON)
    yield _request("POST", "/v1/batch", body, {**JSON, "Content-Encoding": "br"})
    yield _request("POST", "/v1/batch", TOO_LARGE, JSON)


def _writes(method: str, path: str, body: bytes, headers: dict[str, str]) -> Iterator[bytes]:
    """Yield a write, its retry, and requests that any write can be refused for."""
    key = {"Idempotency-Key": f'"{method}-{path}"'}
    yield _request(method, path, body, {**headers, **key})
    yield _request(method, path, body, {**headers, **key})
    other = body.replace(b"}", b" }") if body else b""
    yield _request(method, path if body else f"{path}?", other, {**headers, **key})
    yield _request(method, path, body, {**headers, "If-Match": '"another"'})
    yield _request(method, path, body, {**headers, "Idempotency-Key": "é"})
    yield _request(method, f"{path}?surprise=1", body, headers)
    if body:
        yield _request(method, path, body, {**headers, "Prefer": "return=minimal"})
        yield _request(method, path, b"{", headers or JSON)
        yield _request(method, path, TOO_LARGE, headers)
        yield _request(method, path, body, {**headers, "Content-Encoding": "br"})
