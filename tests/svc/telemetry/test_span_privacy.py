"""Spans never contain values or passwords, nor keys with KV_TRACE_KEYS=off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support import otlp
from tests.support.answers import ask
from tests.support.instrumented_service import Serve, traceparent
from tests.support.otlp import Collector
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.spans import Span, decode

#: If a span contains one of these, it contains data of a client.
KEY: Final = "sesame"
VALUE: Final = "rosebud"
PASSWORD: Final = "swordfish"  # noqa: S105 - of a Redis of the test's own
JSON: Final = {"Content-Type": "application/json"}
MERGE: Final = {"Content-Type": "application/merge-patch+json"}

BODY: Final = f'{{"{VALUE}":"{VALUE}"}}'.encode()
OPERATIONS: Final = [
    {"op": "put", "key": KEY, "value": VALUE},
    {"op": "get", "key": KEY},
    {"op": "add", "counter": KEY, "idempotency_key": VALUE},
    {"op": "delete", "key": f"no-{KEY}"},
]
REQUESTS: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("PUT", f"/v1/kv/{KEY}", {"data": BODY, "headers": JSON}),
    ("PUT", f"/v1/kv/{KEY}", {"data": BODY, "headers": {"Idempotency-Key": VALUE}}),
    ("GET", f"/v1/kv/{KEY}", {"headers": {"Cookie": VALUE, "Authorization": VALUE}}),
    ("GET", f"/v1/kv/{KEY}/deeper/{KEY}", {}),
    ("GET", f"/v1/kv/%73esame%2F{KEY}", {}),
    ("PATCH", f"/v1/kv/{KEY}", {"data": BODY, "headers": MERGE}),
    ("PATCH", f"/v1/kv/{KEY}", {"data": VALUE.encode(), "headers": MERGE}),
    ("POST", f"/v1/kv/{KEY}/", {"data": BODY, "headers": JSON}),
    ("GET", f"/v1/kv?prefix={KEY}", {}),
    ("GET", f"/v1/counters?prefix={KEY}", {}),
    ("POST", f"/v1/counters/{KEY}/increments", {"data": BODY}),
    ("PUT", f"/v1/counters/{KEY}", {"json": {"value": 5}}),
    ("GET", f"/v1/counters/{KEY}", {}),
    ("PUT", f"/{KEY}", {"data": BODY}),
    ("GET", f"/{KEY}", {}),
    ("POST", "/v1/batch", {"json": {"operations": OPERATIONS}}),
    ("POST", f"/{KEY}", {"data": BODY}),
    ("PURGE", f"/v1/kv/{KEY}", {}),
    ("GET", f"/v1/no/{KEY}", {}),
    ("DELETE", f"/v1/kv/{KEY}", {}),
    ("DELETE", f"/v1/kv/{KEY}?{KEY}={KEY}", {}),
]


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All bodies that the collector received, decompressed."""
    taken: list[bytes] = []

    def keep(body: bytes) -> list[Span]:
        taken.append(body)
        return decode(body)

    monkeypatch.setattr(otlp, "decode", keep)
    return taken


@contextlib.contextmanager
def password_protected(server: RedisServer) -> Iterator[str]:
    """Set a Redis password. Yield a URL with it."""
    with contextlib.closing(server.client()) as client:
        client.config_set("requirepass", PASSWORD)
        try:
            yield f"redis://default:{PASSWORD}@127.0.0.1:{server.port}"
        finally:
            client.config_set("requirepass", "")


async def ask_everything(service: Service) -> None:
    for number, (method, path, options) in enumerate(REQUESTS, 1):
        headers = {**traceparent(number), **options.get("headers", {})}
        await ask(service, method, path, **{**options, "headers": headers})


async def test_spans_hold_no_value_no_credential_and_the_key_only_in_the_address(
    traced: Serve, collector: Collector, uploads: list[bytes], shared_redis: RedisServer
) -> None:
    with password_protected(shared_redis) as url:
        async with traced(store_url=url) as service:
            await ask_everything(service)

    raw = b"".join(uploads)
    assert KEY.encode() in raw
    assert VALUE.encode() not in raw
    assert PASSWORD.encode() not in raw
    for span in collector.spans:
        shown = {name for name, value in span.attributes.items() if KEY in str(value)}
        assert shown <= {"url.path", "url.query"}, span
        assert KEY not in span.name
    assert len([span for span in collector.spans if span.kind == "SERVER"]) == len(REQUESTS)


async def test_without_keys_no_exported_byte_is_of_a_key(
    traced: Serve, collector: Collector, uploads: list[bytes]
) -> None:
    async with traced(trace_keys=False) as service:
        await ask_everything(service)

    raw = b"".join(uploads)
    assert KEY.encode() not in raw
    assert VALUE.encode() not in raw
    shown = {
        span.trace_id: span.attributes["url.path"]
        for span in collector.spans
        if span.kind == "SERVER"
    }
    assert len(shown) == len(REQUESTS)
    assert set(shown.values()) >= {"/v1/kv/{key}", "/{path}", "/v1/batch", ""}
