"""Each kind of change with an Idempotency-Key: a replay changes nothing and answers the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, names, problem, run_out

KEY = {"Idempotency-Key": '"once"'}
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, api: Api) -> Any:
        return api.send(self.method, self.path, self.body, headers={**KEY, **self.headers})


#: Requests on an entry ``doc``, {"a": 1}, and the counters ``full`` (at its maximum) and ``five``.
REQUESTS = {
    "put that creates": Request("PUT", "/v1/kv/new", 201, b"x"),
    "put that replaces": Request("PUT", "/v1/kv/doc", 200, b"x"),
    "put that keeps the ttl": Request("PUT", "/v1/kv/doc?ttl=keep", 200, b"x"),
    "put that must create": Request("PUT", "/v1/kv/new", 201, b"x", {"If-None-Match": "*"}),
    "put that must replace": Request("PUT", "/v1/kv/doc", 200, b"x", {"If-Match": "*"}),
    "put that is refused": Request("PUT", "/v1/kv/doc", 412, b"x", {"If-None-Match": "*"}),
    "put of what is missing": Request("PUT", "/v1/kv/new", 412, b"x", {"If-Match": "*"}),
    "put, minimal": Request("PUT", "/v1/kv/new", 201, b"x", {"Prefer": "return=minimal"}),
    "patch": Request("PATCH", "/v1/kv/doc", 200, b'{"b":2}', MERGE),
    "delete": Request("DELETE", "/v1/kv/doc", 204),
    "delete that is refused": Request("DELETE", "/v1/kv/doc", 412, None, {"If-Match": '"x"'}),
    "delete of what is missing": Request("DELETE", "/v1/kv/new", 404),
    "post": Request("POST", "/v1/kv/tasks/", 201, b"x"),
    "plain put": Request("PUT", "/doc", 201, b'{"c":3}'),
    "step": Request("POST", "/v1/counters/five/increments", 200),
    "step, clamped": Request(
        "POST", "/v1/counters/five/increments", 200, b'{"by":9,"max":7,"on_bound":"clamp"}'
    ),
    "step past a bound": Request("POST", "/v1/counters/five/increments", 409, b'{"max":5}'),
    "step that overflows": Request("POST", "/v1/counters/full/increments", 409),
    "put of a counter": Request("PUT", "/v1/counters/five", 200, b'{"value":8}'),
    "put of a new counter": Request("PUT", "/v1/counters/new", 200, b'{"value":8}'),
    "delete of a counter": Request("DELETE", "/v1/counters/five", 204),
    "delete of no counter": Request("DELETE", "/v1/counters/new", 404),
}


async def prepare(api: Api) -> None:
    await api.put("/v1/kv/doc?ttl=1000", b'{"a":1}', headers=JSON)
    await api.put("/v1/counters/five", json={"value": 5})
    await api.put("/v1/counters/full", json={"value": 2**63 - 1})


async def state(api: Api) -> list[Any]:
    entries = (await api.get("/v1/kv?limit=1000")).json()["items"]
    counters = (await api.get("/v1/counters?limit=1000")).json()["items"]
    return sorted(
        [item["key"], item["etag"]] if "key" in item else [item["name"], item["value_text"]]
        for item in entries + counters
    )


def replayed_part(answer: Answer) -> dict[str, Any]:
    """Return what a replay repeats: all but the request's own ids in a problem."""
    body: Any = answer.body
    if answer.status >= 400:
        body = {k: v for k, v in answer.json().items() if k != "trace_id"}
    kept = {name: answer.headers.get(name) for name in ("ETag", "Location", "Content-Type")}
    return {"status": answer.status, "body": body, **kept}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_replay_changes_nothing_and_answers_alike(pods: tuple[Api, Api], case: str) -> None:
    await prepare(pods[0])
    request = REQUESTS[case]

    first = await request.send(pods[0])
    after = await state(pods[0])
    again = await request.send(pods[1])

    assert first.status == request.status, first
    assert replayed_part(again) == replayed_part(first)
    assert (first.replayed, again.replayed) == (False, True)
    assert await state(pods[0]) == after


@pytest.mark.parametrize("case", REQUESTS)
async def test_20_at_once_over_two_pods_are_one(pods: tuple[Api, Api], case: str) -> None:
    await prepare(pods[0])
    request = REQUESTS[case]

    answers = await asyncio.gather(*(request.send(pods[i % 2]) for i in range(20)))

    assert sum(not answer.replayed for answer in answers) == 1
    first = next(answer for answer in answers if not answer.replayed)
    assert first.status == request.status
    assert all(replayed_part(answer) == replayed_part(first) for answer in answers)


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_replay_stands_whatever_happened_since(api: Api, case: str) -> None:
    await prepare(api)
    request = REQUESTS[case]
    first = await request.send(api)
    await api.put("/v1/kv/doc", b'{"z":26}', headers=JSON)
    await api.put("/v1/kv/new", b"since then", headers=JSON | {"Content-Type": "text/plain"})
    await api.put("/v1/counters/five", json={"value": -5})
    await api.put("/v1/counters/full", json={"value": 0})
    await api.put("/v1/counters/new", json={"value": 1})
    since = await state(api)

    again = await request.send(api)

    assert replayed_part(again) == replayed_part(first)
    assert again.replayed
    assert await state(api) == since


async def test_a_retried_swap_gets_its_success_not_a_refusal(pods: tuple[Api, Api]) -> None:
    etag = (await pods[0].put("/v1/kv/a", b"1")).etag
    headers = {**KEY, "If-Match": etag}
    first = await pods[0].put("/v1/kv/a", b"2", headers=headers)

    again = await pods[1].put("/v1/kv/a", b"2", headers=headers)

    assert (first.status, again.status) == (200, 200)
    assert (again.etag, again.body, again.replayed) == (first.etag, first.body, True)


async def test_a_retried_patch_under_if_match_gets_its_success(pods: tuple[Api, Api]) -> None:
    etag = (await pods[0].put("/v1/kv/a", b'{"n":1}', headers=JSON)).etag
    headers = {**KEY, "If-Match": etag}
    first = await pods[0].patch("/v1/kv/a", {"n": 2}, headers=headers)

    again = await pods[1].patch("/v1/kv/a", {"n": 2}, headers=headers)

    assert (first.status, again.status) == (200, 200)
    assert (again.etag, again.body, again.replayed) == (first.etag, first.body, True)


@pytest.mark.parametrize(("path", "status"), [("/v1/kv/none", 404), ("/v1/kv/text", 409)])
async def test_a_refused_patch_is_not_applied_by_its_retry(
    api: Api, path: str, status: int
) -> None:
    """A replay returns the stored status: a request reported as failed must not succeed later."""
    await api.put("/v1/kv/text", b"no json", headers={"Content-Type": "text/plain"})
    first = await api.patch(path, {"a": 1}, headers=KEY)
    assert first.status == status
    await api.put(path, b'{"b":2}', headers=JSON)

    again = await api.patch(path, {"a": 1}, headers=KEY)

    assert (again.status, again.replayed) == (status, True)
    assert (await api.get(path)).json() == {"b": 2}


async def test_a_deletion_retried_does_not_delete_what_was_made_since(api: Api) -> None:
    await api.put("/v1/kv/a", b"1")
    await api.delete("/v1/kv/a", headers=KEY)
    await api.put("/v1/kv/a", b"2")

    again = await api.delete("/v1/kv/a", headers=KEY)

    assert (again.status, again.replayed) == (204, True)
    assert (await api.get("/v1/kv/a")).body == b"2"


async def test_a_created_entry_is_found_where_each_retry_says(pods: tuple[Api, Api]) -> None:
    request = REQUESTS["post"]

    answers = await asyncio.gather(*(request.send(pods[i % 2]) for i in range(50)))

    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == 49
    assert len(await pods[0].keys()) == 1
    assert (await pods[0].get(answers[0].headers["Location"])).etag == answers[0].etag


async def test_another_task_under_the_same_key_is_a_mismatch(api: Api) -> None:
    await api.post("/v1/kv/tasks/", b"1", headers=KEY)

    problem(await api.post("/v1/kv/tasks/", b"2", headers=KEY), 422, "idempotency_mismatch")
    assert len(await api.keys()) == 1


@pytest.mark.parametrize("lost", ["op:*:claim", "op:*"])
async def test_a_created_entry_whose_record_expired_stays(
    api: Api, backend: Backend, lost: str
) -> None:
    first = await api.post("/v1/kv/tasks/", b"1", headers=KEY)
    run_out(backend, *names(backend, lost))

    second = await api.post("/v1/kv/tasks/", b"1", headers=KEY)

    assert second.status == 201
    assert await api.keys() == sorted([first.json()["key"], second.json()["key"]])
