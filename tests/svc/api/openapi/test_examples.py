"""The examples of the document are what the service answers: one story, sent in order."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest

from svc.api.openapi.document import OPERATIONS
from svc.api.openapi.model import EVENTS, Example
from svc.api.openapi.story import STORY
from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import PATIENT_SECONDS
from tests.svc.api.openapi.documents import built
from tests.svc.api.openapi.lint import resolve

#: What differs from run to run: ETags of entries, ids, trace ids, and positions of watches.
VOLATILE: Final = re.compile(
    r'(?:W/)?"?[0-9a-f]{20}[0-9a-f]{12}"?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
    r"|[0-9a-f]{12}\.[0-9]+"
)
OPERATION: Final = {each.id: each for each in OPERATIONS}
#: A busy machine may take so long between two examples, in seconds.
LATE_SECONDS: Final = 600


class Known:
    """The volatile texts of the examples, with those that took their place."""

    def __init__(self) -> None:
        self.real: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """Return a text of an example as it is now."""
        return VOLATILE.sub(lambda found: self.real.get(found[0], found[0]), text)

    def same(self, shown: Any, real: Any, name: str = "") -> bool:
        """Compare a value of an example with what was answered. Learn volatile texts."""
        if isinstance(shown, dict) and isinstance(real, dict):
            return shown.keys() == real.keys() and all(
                self.same(shown[each], real[each], each) for each in shown
            )
        if isinstance(shown, list) and isinstance(real, list):
            return len(shown) == len(real) and all(map(self.same, shown, real))
        if name in {"ttl", "KV-TTL"} and shown is not None:
            return 0 <= int(shown) - int(real) <= LATE_SECONDS
        if name == "last_updated":
            return type(shown) is type(real)
        if isinstance(shown, str) and isinstance(real, str):
            return self._same_text(shown, real, name)
        return type(shown) is type(real) and bool(shown == real)

    def _same_text(self, shown: str, real: str, name: str) -> bool:
        old, new = VOLATILE.findall(shown), VOLATILE.findall(real)
        if len(old) != len(new) or VOLATILE.sub("_", shown) != VOLATILE.sub("_", real):
            return False
        if name == "trace_id":  # another one each time
            return True
        return all(self.real.setdefault(a, b) == b for a, b in zip(old, new, strict=True))


@pytest.fixture
async def service(shared_redis: RedisServer) -> AsyncIterator[Service]:
    with shared_redis.client() as client:
        client.flushall()
    # As without settings, but for the time that a store may take on a busy machine.
    async with running_service(Settings(store_url=shared_redis.url, pod="tallykv-0")) as running:
        yield running


async def send(service: Service, example: Example, known: Known) -> tuple[int, Any, bytes]:
    operation = OPERATION[example.of]
    path = operation.path
    for name, value in example.path.items():
        path = path.replace(f"{{{name}}}", quote(known.fill(value)))
    if example.query:
        path += "?" + urlencode(example.query)
    headers = {name: known.fill(value) for name, value in example.headers.items()}
    body = None
    if example.body is not None:
        headers["Content-Type"] = example.media
        is_text = example.media.startswith("text/")
        body = (
            example.body if is_text else json.dumps(example.body, separators=(",", ":"))
        ).encode()
    async with service.request(operation.method, path, data=body, headers=headers) as answer:
        if example.answer_media != EVENTS.media:
            return answer.status, answer.headers, await answer.read()
        # A watch goes on until its client leaves.
        async with asyncio.timeout(PATIENT_SECONDS):
            text = await answer.content.readuntil(b"event: synced\n")
            text += await answer.content.readuntil(b"\n\n")
        return answer.status, answer.headers, text


def events_of(text: str) -> list[Any]:
    """Return the lines of server-sent events, with their data parsed."""
    lines = [line.partition(": ") for line in text.split("\n")]
    return [
        [name, json.loads(value) if name == "data" else value] for name, _separator, value in lines
    ]


async def test_the_service_answers_each_example_as_it_is_shown(service: Service) -> None:
    known = Known()

    for example in STORY:
        status, headers, body = await send(service, example, known)

        told = (example.of, example.name, status, body)
        assert status == example.status, told
        for name, value in example.answer_headers.items():
            assert known.same(value, headers[name], name), (told, name, headers[name])
        if example.answer is None:
            assert body == b"", told
        elif example.answer_media == EVENTS.media:
            assert known.same(events_of(example.answer), events_of(body.decode())), told
        elif isinstance(example.answer, (bytes, str)):
            shown = example.answer if isinstance(example.answer, bytes) else example.answer.encode()
            assert body == shown, told
        else:
            members = dict(example.answer)
            if example.of == "readLimits":
                members["store_timeout_ms"] = service.settings.store_timeout_ms
            assert known.same(members, json.loads(body)), told


def test_every_operation_has_an_example_that_succeeds() -> None:
    succeed = {each.of for each in STORY if each.status < 400}

    assert succeed == set(OPERATION)


@pytest.mark.parametrize("example", STORY, ids=lambda each: f"{each.of}-{each.name}")
def test_an_example_is_shown(example: Example) -> None:
    operation = OPERATION[example.of]
    found = built()["paths"][operation.path][operation.method.lower()]
    response = resolve(built(), found["responses"][str(example.status)])

    for name, value in example.path.items():
        found_one = next(each for each in found["parameters"] if each.get("name") == name)
        assert found_one["examples"][example.name]["value"] == value
    if example.answer is not None:
        shown = response["content"][example.answer_media]["examples"][example.name]["value"]
        answer = example.answer
        assert shown == (answer.decode() if isinstance(answer, bytes) else answer)
    if example.body is not None:
        shown = found["requestBody"]["content"][example.media]["examples"]
        assert shown[example.name]["value"] == example.body


def test_a_wrong_example_is_found() -> None:
    """The test of the test."""
    etag = '"47db0c0eb20f6210528a000000000001"'
    other = '"47db0c0eb20f6210528a000000000009"'
    known = Known()

    assert known.same({"etag": etag, "n": 1}, {"etag": other, "n": 1})
    assert known.fill(f"W/{etag}") == f"W/{etag}"
    assert known.fill(etag) == other
    assert not known.same({"etag": etag}, {"etag": etag})
    assert not known.same({"n": 1}, {"n": 2})
    assert not known.same({"n": 1}, {"n": True})
    assert not known.same({"n": 1}, {"n": 1, "m": 1})
    assert not known.same("a", "b")
