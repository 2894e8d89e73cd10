"""Refusals of a batch: of the whole batch if it is malformed, else of single operations."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pytest

from tests.conftest import Backend
from tests.support.services import running_service
from tests.svc.api.client import PROBLEM_FIELDS, Api, problem

FINE = {"op": "put", "key": "fine", "value": 1}


@pytest.fixture
def backend(one_backend: Backend) -> Backend:
    """What is refused here is refused before the store is asked."""
    return one_backend


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        ({"op": "frobnicate", "key": "a"}, "frobnicate"),
        ({"key": "a"}, "op"),
        ({"op": None, "key": "a"}, "op"),
        ({"op": "get"}, "key"),
        ({"op": "get", "key": 1}, "key"),
        ({"op": "get", "key": "a", "ttl": 1}, "ttl"),
        ({"op": "get", "key": "a", "idempotency_key": "k"}, "idempotency_key"),
        ({"op": "put", "key": "a", "value": 1, "if_range": "*"}, "if_range"),
        ({"op": "put", "key": "a", "value": 1, "ttl": 0}, "ttl"),
        ({"op": "put", "key": "a", "value": 1, "ttl": 315_360_001}, "ttl"),
        ({"op": "put", "key": "a", "value": 1, "ttl": "60"}, "ttl"),
        ({"op": "put", "key": "a", "value": 1, "ttl": 1.5}, "ttl"),
        ({"op": "put", "key": "a", "value": 1, "ttl": "forever"}, "ttl"),
        ({"op": "put", "key": "a", "value_b64": 1}, "value_b64"),
        ({"op": "delete", "key": "a", "value": 1}, "value"),
        ({"op": "add", "counter": "c", "by": 1.5}, "by"),
        ({"op": "add", "counter": "c", "by": True}, "by"),
        ({"op": "add", "counter": "c", "by": "1"}, "by"),
        ({"op": "add", "counter": "c", "by": 2**63}, "by"),
        ({"op": "add", "counter": "c", "max": 5}, "max"),
        ({"op": "add", "key": "c"}, "key"),
        ({"op": "add"}, "counter"),
        (7, "int"),
        (None, "null"),
    ],
)
async def test_a_malformed_operation_refuses_the_batch_and_is_named(
    api: Api, operation: Any, named: str
) -> None:
    answer = await api.post("/v1/batch", json={"operations": [FINE, operation]})

    said = problem(answer, 400, "body_invalid")
    assert "operations[1]" in said["detail"]
    assert named in said["detail"]
    assert said["applied"] == "no"
    assert await api.keys() == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b'{"operations":null}', b'{"operations":{}}'),
        *(b'{"operations":[{"op":"get","key":"a"}],"atomic":true}', b"{"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused(api: Api, body: bytes) -> None:
    problem(await api.post("/v1/batch", body), 400, "body_invalid")


@pytest.mark.parametrize("count", [0, 501])
async def test_a_batch_holds_1_to_500_operations(api: Api, count: int) -> None:
    answer = await api.post("/v1/batch", json={"operations": [FINE] * count})

    said = problem(answer, 400, "body_invalid")
    assert "operations" in said["detail"]
    assert "500" in said["detail"]
    assert await api.keys() == []


async def test_a_batch_of_more_than_4_mib_is_too_large(api: Api) -> None:
    body = json.dumps({"operations": [{"op": "put", "key": "a", "value": "x" * (4 << 20)}]})

    problem(await api.post("/v1/batch", io.BytesIO(body.encode())), 413, "body_too_large")


async def test_a_batch_of_almost_4_mib_is_served(api: Api) -> None:
    values = ["x" * 1_000_000] * 4
    body = json.dumps(
        {"operations": [{"op": "put", "key": f"k{i}", "value": v} for i, v in enumerate(values)]}
    )

    answer = await api.post("/v1/batch", io.BytesIO(body.encode()))

    assert [r["status"] for r in answer.json()["results"]] == [201] * 4


async def test_the_limits_are_settings(api: Api) -> None:
    settings = dataclasses.replace(
        api.service.settings, max_batch_operations=2, max_batch_bytes=1000
    )
    async with running_service(settings) as service:
        small = Api(service)
        many = await small.post("/v1/batch", json={"operations": [FINE] * 3})
        large = await small.post("/v1/batch", json={"operations": [{**FINE, "value": "x" * 1000}]})

    problem(many, 400, "body_invalid")
    problem(large, 413, "body_too_large")


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        ({"op": "get", "key": ""}, 400, "key_invalid"),
        ({"op": "get", "key": "a//b"}, 400, "key_invalid"),
        ({"op": "get", "key": "a/../b"}, 400, "key_invalid"),
        ({"op": "get", "key": "nul\0"}, 400, "key_invalid"),
        ({"op": "get", "key": "k" * 513}, 414, "key_too_long"),
        ({"op": "get", "key": "missing"}, 404, "key_missing"),
        ({"op": "put", "key": ".", "value": 1}, 400, "key_invalid"),
        ({"op": "put", "key": "k" * 513, "value": 1}, 414, "key_too_long"),
        ({"op": "put", "key": "a"}, 400, "body_invalid"),
        ({"op": "put", "key": "a", "value": 1, "value_b64": "MQ=="}, 400, "body_invalid"),
        ({"op": "put", "key": "a", "value_b64": "not base64!"}, 400, "body_invalid"),
        ({"op": "put", "key": "a", "value_b64": "MQ"}, 400, "body_invalid"),
        (
            {"op": "put", "key": "a", "value_b64": "ew==", "content_type": "application/json"},
            *(400, "body_invalid"),
        ),
        (
            {"op": "put", "key": "a", "value": 1, "content_type": "a\nb"},
            *(400, "content_type_invalid"),
        ),
        (
            {"op": "put", "key": "a", "value": 1, "content_type": "é"},
            *(400, "content_type_invalid"),
        ),
        ({"op": "put", "key": "a", "value": 1, "if_match": "*"}, 412, "precondition_failed"),
        ({"op": "put", "key": "a", "value": "x" * (1 << 20)}, 413, "body_too_large"),
        ({"op": "delete", "key": "missing"}, 404, "key_missing"),
        ({"op": "delete", "key": "a/"}, 400, "key_invalid"),
        ({"op": "add", "counter": "a b"}, 400, "counter_name_invalid"),
        ({"op": "add", "counter": ""}, 400, "counter_name_invalid"),
        ({"op": "add", "counter": "c", "idempotency_key": ""}, 400, "header_invalid"),
        ({"op": "add", "counter": "c", "idempotency_key": '"a'}, 400, "header_invalid"),
        ({"op": "add", "counter": "c", "idempotency_key": "k" * 256}, 400, "header_invalid"),
    ],
)
async def test_one_operations_refusal_is_its_own(
    api: Api, operation: dict[str, Any], status: int, code: str
) -> None:
    before, refused, after = await api.batch(FINE, operation, {"op": "get", "key": "fine"})

    assert (before["status"], after["status"]) == (201, 200)
    assert (refused["status"], refused["code"]) == (status, code)
    assert refused.keys() >= PROBLEM_FIELDS - {"trace_id"}
    assert refused["applied"] == "no"
    assert await api.keys() == ["fine"]


async def test_a_batch_of_nothing_but_refusals_is_answered(api: Api) -> None:
    results = await api.batch({"op": "get", "key": ""}, {"op": "get", "key": "a//b"})

    assert [r["status"] for r in results] == [400, 400]


async def test_a_batch_takes_no_parameters(api: Api) -> None:
    answer = await api.post("/v1/batch?atomic=1", json={"operations": [FINE]})

    assert "atomic" in problem(answer, 400, "query_invalid")["detail"]


@pytest.mark.parametrize(
    ("role", "statuses"), [("kv", [201, 200, 404, 204]), ("counters", [404, 404, 200, 404])]
)
async def test_what_this_process_does_not_serve_is_missing(
    api: Api, role: str, statuses: list[int]
) -> None:
    settings = dataclasses.replace(api.service.settings, roles=frozenset({role}))
    async with running_service(settings) as service:
        results = await Api(service).batch(
            FINE,
            {"op": "get", "key": "fine"},
            {"op": "add", "counter": "c"},
            {"op": "delete", "key": "fine"},
        )

    assert [r["status"] for r in results] == statuses
    for result in results:
        if result["status"] == 404:
            assert result.keys() >= PROBLEM_FIELDS - {"trace_id"}
