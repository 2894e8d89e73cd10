"""Complete responses with their duration, and assertions about problems."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from svc.api.context import LIFECYCLE
from tests.support.services import Service
from tests.support.waiting import eventually

#: Far above the store's timeout, as a busy machine needs, and far below that of the client, which
#: is what would end a request without a deadline.
PROMPT_SECONDS: Final = 15.0
TEXT: Final = {"Content-Type": "text/plain"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask(service: Service, method: str, path: str, **options: Any) -> Answer:
    started = time.monotonic()
    async with service.request(method, path, **options) as response:
        body = await response.read()
        return Answer(response.status, response.headers, body, time.monotonic() - started)


async def ask_admin(service: Service, path: str) -> Answer:
    started = time.monotonic()
    async with service.client.get(service.admin_base + path) as response:
        body = await response.read()
        return Answer(response.status, response.headers, body, time.monotonic() - started)


async def put(service: Service, key: str, body: bytes, **options: Any) -> Answer:
    return await ask(service, "PUT", f"/v1/kv/{key}", data=body, headers=TEXT, **options)


async def get(service: Service, key: str) -> Answer:
    return await ask(service, "GET", f"/v1/kv/{key}")


async def increment(service: Service, name: str, operation: str | None = None) -> Answer:
    headers = {} if operation is None else {"Idempotency-Key": operation}
    return await ask(service, "POST", f"/v1/counters/{name}/increments", headers=headers)


async def counter_value(service: Service, name: str) -> int:
    answer = await ask(service, "GET", f"/v1/counters/{name}")
    assert answer.status == 200, answer
    return int(answer.json["value"])


async def batch(service: Service, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await ask(service, "POST", "/v1/batch", json={"operations": operations})
    assert answer.status == 200, answer
    results: list[dict[str, Any]] = answer.json["results"]
    return results


async def together(*asked: Any) -> list[Any]:
    return list(await asyncio.gather(*asked))


async def insist(asked: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until it succeeds: on a busy machine, a service that waits briefly refuses sometimes."""

    async def succeeded() -> Answer | None:
        answer = await asked()
        if answer.status < 300:
            return answer
        assert_refused_or_unknown(answer)
        return None

    answer: Answer = await eventually(succeeded, what="a success")
    return answer


async def store_all(service: Service, entries: dict[str, bytes]) -> None:
    """Store the entries. Ask again for those that a busy machine did not store in time."""
    missing = dict(entries)
    while missing:
        answers = await together(*(put(service, key, body) for key, body in missing.items()))
        for key, answer in zip(tuple(missing), answers, strict=True):
            if answer.status in {200, 201}:
                del missing[key]
            else:
                assert_refused_or_unknown(answer)


async def warm(service: Service, connections: int) -> None:
    """Open this many connections, so that a later flood of requests needs no handshakes.

    A burst of handshakes would overflow the listener's backlog, and the kernel retries after 1 s.
    """
    lifecycle, ready = service.app[LIFECYCLE], asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"warm"
        await ready.wait()

    async with asyncio.TaskGroup() as opening:
        for opened in range(1, connections + 1):
            opening.create_task(ask(service, "PUT", "/v1/kv/warm", data=body()))
            if opened % 64 == 0 or opened == connections:
                await eventually(lambda n=opened: lifecycle.active >= n)  # type: ignore[misc]
        ready.set()


def assert_problem(answer: Answer, status: int, code: str, applied: str = "no") -> None:
    """Assert the problem's fields. Retry-After comes with 503 only."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json
    seen = (problem["status"], problem["code"], problem["applied"])
    assert seen == (status, code, applied), answer
    assert problem["title"], answer
    assert problem["trace_id"], answer
    assert "Traceback" not in answer.text, answer
    assert "127.0.0.1" not in answer.text, answer
    if status == 503:
        assert int(answer.headers["Retry-After"]) >= 1, answer
        assert problem["retryable"] is True, answer
    else:
        assert "Retry-After" not in answer.headers, answer


def assert_refused(answer: Answer) -> None:
    """503: the store was not reached, and certainly nothing was applied."""
    assert_problem(answer, 503, "store_unavailable")


def assert_unknown(answer: Answer) -> None:
    """504: the change was sent, and no reply arrived."""
    assert_problem(answer, 504, "outcome_unknown", "unknown")


def assert_refused_or_unknown(answer: Answer) -> None:
    if answer.status == 504:
        assert_unknown(answer)
    else:
        assert_refused(answer)


def statuses(answers: Iterable[Answer]) -> set[int]:
    return {answer.status for answer in answers}
