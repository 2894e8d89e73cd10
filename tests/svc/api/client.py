"""A client for the HTTP contract's tests, which reads whole responses, and access to Redis."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis
from multidict import CIMultiDictProxy

from svc.domain.model import CounterName, Key
from svc.stores.names import counter_name, entry_name
from tests.conftest import Backend
from tests.support.raw_http import exchange
from tests.support.services import Service

DEADLINE_SECONDS: Final = 60.0
PROBLEM_FIELDS: Final = frozenset(
    {"type", "title", "status", "detail", "code", "applied", "retryable", "trace_id"}
)


@dataclass(frozen=True)
class Answer:
    """A response whose body has been read."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotency-Replayed") == "true"

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Api:
    """A client of one pod. It sends paths and ``body`` unchanged, and ``json`` encoded."""

    service: Service

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        async with self.service.request(
            method, path, data=body, headers=headers, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    def get(self, path: str, **options: Any) -> Awaitable[Answer]:
        return self.send("GET", path, **options)

    def head(self, path: str, **options: Any) -> Awaitable[Answer]:
        return self.send("HEAD", path, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Awaitable[Answer]:
        return self.send("PUT", path, body, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Awaitable[Answer]:
        return self.send("POST", path, body, **options)

    def patch(self, path: str, changes: Any, **options: Any) -> Awaitable[Answer]:
        """Send a merge patch: ``changes`` is a Python object, or bytes to send unchanged."""
        body = changes if isinstance(changes, bytes) else json.dumps(changes).encode()
        headers = {"Content-Type": "application/merge-patch+json", **options.pop("headers", {})}
        return self.send("PATCH", path, body, headers=headers, **options)

    def delete(self, path: str, **options: Any) -> Awaitable[Answer]:
        return self.send("DELETE", path, **options)

    def step(self, name: str, **body: Any) -> Awaitable[Answer]:
        """Increment a counter."""
        headers = body.pop("headers", None)
        return self.post(f"/v1/counters/{name}/increments", json=body, headers=headers)

    async def batch(self, *operations: Mapping[str, Any]) -> list[Any]:
        """Run a batch that must be accepted as a whole. Return its results."""
        body = json.dumps({"operations": operations}, separators=(",", ":")).encode()
        # aiohttp warns about bodies of more than 1 MiB that are not streamed.
        answer = await self.post("/v1/batch", io.BytesIO(body))
        assert answer.status == 200, answer.body
        results: list[Any] = answer.json()["results"]
        return results

    async def keys(self, prefix: str = "") -> list[str]:
        """Return the keys on the first, large page, sorted."""
        answer = await self.get(f"/v1/kv?limit=1000&prefix={prefix}")
        assert answer.status == 200, answer
        assert answer.json()["next_cursor"] is None
        return sorted(item["key"] for item in answer.json()["items"])

    async def raw(self, sent: bytes, *, head_only: bool = False) -> Answer:
        """Send these bytes on a new connection, and read one response."""
        answer = await exchange(self.service.port, sent, head_only=head_only)
        return Answer(answer.status, CIMultiDictProxy(answer.headers), answer.body)


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Assert that the response is this problem with all its fields. Return its body."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said.keys() >= PROBLEM_FIELDS, said
    assert (said["status"], said["code"]) == (status, code)
    return said


def entry(key: str) -> bytes:
    """Return the entry's Redis key."""
    return entry_name(Key(key))


def counter(name: str) -> bytes:
    """Return the counter's Redis key."""
    return counter_name(CounterName(name))


def names(backend: Backend, pattern: str) -> list[bytes]:
    """Return the Redis keys that match the pattern."""
    return [name for client in backend.clients for name in client.scan_iter(pattern)]


def left_ms(backend: Backend, name: bytes) -> int:
    """Return the TTL in Redis in ms: -1 for none, -2 if the key does not exist."""
    for server in backend.clients:
        with contextlib.suppress(redis.ResponseError):  # MOVED: another server has the slot
            return int(server.pttl(name))
    raise AssertionError("no server has the slot")


def age(backend: Backend, key: str, *, seconds: int) -> None:
    """Let the entry be older, directly in Redis: move its time of writing."""
    for server in backend.clients:
        with contextlib.suppress(redis.ResponseError):  # MOVED: another server has the slot
            held: Any = server.getrange(entry(key), 2, 9)
            written = int.from_bytes(held, "big")
            server.setrange(entry(key), 2, (written - seconds * 1000).to_bytes(8, "big"))
            return
    raise AssertionError("no server has the slot")


def run_out(backend: Backend, *gone: bytes) -> None:
    """Let these keys expire now, directly in Redis."""
    give_up = time.monotonic() + DEADLINE_SECONDS
    for name in gone:
        for server in backend.clients:
            with contextlib.suppress(redis.ResponseError):  # MOVED: another server has the slot
                assert server.pexpire(name, 1), f"Redis holds no {name!r}"
                while server.exists(name):
                    assert time.monotonic() < give_up
