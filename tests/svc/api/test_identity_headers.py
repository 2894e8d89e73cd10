"""Every response of the traffic port names the pod and the request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.svc.api.client import Answer, Api

IDENTITY = {"KV-Version": "1.2.3", "KV-Track": "canary", "KV-Pod": "pod-1"}

#: name: method, path, body, headers, status
ANSWERS: dict[str, tuple[str, str, bytes | None, dict[str, str], int]] = {
    "read": ("GET", "/v1/kv/doc", None, {}, 200),
    "head": ("HEAD", "/v1/kv/doc", None, {}, 200),
    "not modified": ("GET", "/v1/kv/doc", None, {"If-None-Match": "*"}, 304),
    "created": ("PUT", "/v1/kv/new", b"x", {}, 201),
    "minimal": ("PUT", "/v1/kv/new", b"x", {"Prefer": "return=minimal"}, 201),
    "deleted": ("DELETE", "/v1/kv/doc", None, {}, 204),
    "listing": ("GET", "/v1/kv", None, {}, 200),
    "post": ("POST", "/v1/kv/tasks/", b"x", {}, 201),
    "step": ("POST", "/v1/counters/c/increments", None, {}, 200),
    "counters": ("GET", "/v1/counters", None, {}, 200),
    "batch": ("POST", "/v1/batch", b'{"operations":[{"op":"get","key":"a"}]}', {}, 200),
    "limits": ("GET", "/v1/limits", None, {}, 200),
    "hit": ("GET", "/", None, {}, 200),
    "hit, head": ("HEAD", "/", None, {}, 200),
    "plain put": ("PUT", "/doc", b"{}", {}, 201),
    "plain get": ("GET", "/doc", None, {}, 200),
    "bad key": ("GET", "/v1/kv/%FF", None, {}, 400),
    "bad body": ("PUT", "/v1/kv/a", b"{", {"Content-Type": "application/json"}, 400),
    "missing": ("GET", "/v1/kv/none", None, {}, 404),
    "missing, head": ("HEAD", "/v1/kv/none", None, {}, 404),
    "no route": ("GET", "/v1/none", None, {}, 404),
    "no method": ("POST", "/v1/limits", None, {}, 405),
    "conflict": ("POST", "/v1/counters/c/increments", b'{"max":0}', {}, 409),
    "precondition": ("PUT", "/v1/kv/doc", b"x", {"If-Match": '"x"'}, 412),
    "too long": ("GET", "/v1/kv/" + "k" * 513, None, {}, 414),
    "media type": ("PATCH", "/v1/kv/doc", b"{}", {}, 415),
}


def answered(answer: Answer) -> dict[str, Any]:
    return {name: answer.headers.get(name) for name in IDENTITY}


@pytest.mark.parametrize("case", ANSWERS)
async def test_every_response_names_its_pod(api: Api, case: str) -> None:
    method, path, body, headers, status = ANSWERS[case]
    await api.put("/v1/kv/doc", b'{"a":1}', headers={"Content-Type": "application/json"})

    answer = await api.send(method, path, body, headers=headers)

    assert answer.status == status
    assert answered(answer) == IDENTITY
    assert answer.headers["X-Request-Id"]
    assert "aiohttp" not in answer.headers["Server"]


async def test_each_pod_says_its_own_name(pods: tuple[Api, Api]) -> None:
    answers = [await pod.get("/v1/limits") for pod in pods]

    assert [a.headers["KV-Pod"] for a in answers] == ["pod-1", "pod-2"]
    assert [a.headers["KV-Track"] for a in answers] == ["canary", "stable"]


@pytest.mark.parametrize(
    "given", ["abc-123", "x", "!" * 128, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"]
)
@pytest.mark.parametrize("path", ["/v1/limits", "/v1/kv/none", "/v1/none", "/"])
async def test_a_request_id_is_echoed(api: Api, path: str, given: str) -> None:
    answer = await api.get(path, headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] == given


async def test_without_a_request_id_each_answer_has_a_new_one(api: Api) -> None:
    made = {(await api.get("/v1/limits")).headers["X-Request-Id"] for _ in range(20)}

    assert len(made) == 20
    assert all(len(each) >= 16 for each in made)


@pytest.mark.parametrize("given", ["", "with space", "é", "x" * 129, "tab\there"])
async def test_a_request_id_that_no_log_should_hold_is_replaced(api: Api, given: str) -> None:
    answer = await api.get("/v1/limits", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] not in {"", given}
