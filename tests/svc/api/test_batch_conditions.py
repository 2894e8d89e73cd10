"""Conditions and idempotency keys of a batch's operations, and of a batch as a whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.svc.api.client import Answer, Api, problem
from tests.svc.api.test_batch import add, delete, get, put


async def send(api: Api, *operations: Any, headers: dict[str, str]) -> Answer:
    return await api.post("/v1/batch", json={"operations": operations}, headers=headers)


async def test_a_get_may_be_conditional(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    same, any_, newer, stale, right, missing = await api.batch(
        {**get("a"), "if_none_match": etag},
        {**get("a"), "if_none_match": "*"},
        {**get("a"), "if_none_match": "x"},
        {**get("a"), "if_match": "x"},
        {**get("a"), "if_match": etag.strip('"')},
        {**get("b"), "if_none_match": etag},
    )

    assert same == any_ == {"status": 304, "key": "a", "etag": etag}
    assert newer["value_b64"] == right["value_b64"]
    assert (stale["status"], stale["code"], stale["etag"]) == (412, "precondition_failed", etag)
    assert missing["code"] == "key_missing"


async def test_a_batch_of_gets_with_a_member_twice_is_refused(api: Api) -> None:
    body = b'{"operations":[{"op":"get","key":"a","if_match":"x","if_match":null}]}'

    problem(await api.post("/v1/batch", body), 400, "body_invalid")


async def test_if_none_match_guards_a_put_and_a_delete(api: Api) -> None:
    created, again, kept, gone = await api.batch(
        put("a", if_none_match="*"),
        put("a", 2, if_none_match="*"),
        delete("b", if_none_match="x"),
        delete("a", if_none_match="x"),
    )

    assert (created["status"], again["status"]) == (201, 412)
    assert (kept["code"], gone["status"]) == ("key_missing", 204)


async def test_conditions_guard_an_increment(api: Api) -> None:
    first, none, right, stale = await api.batch(
        add("c", 5, if_none_match="*"),
        add("c", 1, if_none_match="*"),
        add("c", -7, if_match="5"),
        add("c", 1, if_match='"5", "6"'),
    )
    (negative,) = await api.batch(add("c", 1, if_match="-2"))

    assert (first["value"], right["value"], negative["value"]) == (5, -2, -1)
    assert (none["code"], stale["code"]) == ("precondition_failed", "precondition_failed")
    assert stale["etag"] == '"-2"'


@pytest.mark.parametrize("member", ["if_match", "if_none_match"])
@pytest.mark.parametrize("operation", [get("a"), put("a"), delete("a"), add("a")])
async def test_a_malformed_condition_is_refused_by_name(
    api: Api, operation: dict[str, Any], member: str
) -> None:
    (result,) = await api.batch({**operation, member: '"a'})

    assert (result["status"], result["code"]) == (400, "header_invalid")
    assert member in result["detail"]


async def test_an_operations_own_key_applies_it_once(pods: tuple[Api, Api]) -> None:
    operations = (
        put("a", 1, idempotency_key="one"),
        put("b", 1, if_none_match="*", idempotency_key="one"),
        add("c", 1, if_none_match="*", idempotency_key="one"),
    )
    first = await pods[0].batch(*operations)
    await pods[0].put("/v1/kv/a", b"2")
    second = await pods[1].batch(*operations)
    (deleted,) = await pods[0].batch(delete("b", idempotency_key="two"))
    (again,) = await pods[1].batch(delete("b", idempotency_key="two"))

    assert [result["status"] for result in first] == [201, 201, 200]
    assert second == [{**result, "replayed": True} for result in first]
    assert again == {**deleted, "replayed": True}
    assert (await pods[0].get("/v1/kv/a")).body == b"2"


async def test_an_operations_key_with_another_payload_is_refused(api: Api) -> None:
    await api.batch(put("a", 1, idempotency_key="k"))

    results = await api.batch(
        put("a", 2, idempotency_key="k"),
        put("a", 1, ttl=60, idempotency_key="k"),
        delete("a", idempotency_key="k"),
    )

    assert [result["code"] for result in results] == ["idempotency_mismatch"] * 3


async def test_a_batch_under_a_key_is_applied_once(pods: tuple[Api, Api]) -> None:
    operations = (add("c"), put("a", 1), add("c", 2), delete("b"), add("d", idempotency_key="own"))
    await pods[0].put("/v1/kv/b", b"x")
    headers = {"Idempotency-Key": "k"}

    answers = [await send(api, *operations, headers=headers) for api in pods]
    await pods[0].put("/v1/kv/b", b"again")
    answers.append(await send(pods[0], *operations, headers=headers))

    assert [answer.replayed for answer in answers] == [False, True, True]
    first = answers[0].json()["results"]
    assert [result["status"] for result in first] == [200, 201, 200, 204, 200]
    for answer in answers[1:]:
        assert answer.json()["results"] == [{**result, "replayed": True} for result in first]
    assert (await pods[0].get("/v1/counters/c")).json()["value"] == 3
    assert (await pods[0].get("/v1/kv/b")).body == b"again"


async def test_a_batch_sent_20_times_at_once_is_applied_once(pods: tuple[Api, Api]) -> None:
    operations = [add("c"), add("c"), add("d", 5)]

    answers = await asyncio.gather(
        *(send(pods[i % 2], *operations, headers={"Idempotency-Key": "k"}) for i in range(20))
    )

    assert {tuple(r["value"] for r in a.json()["results"]) for a in answers} == {(1, 2, 5)}
    assert [a.replayed for a in answers].count(False) == 1


async def test_a_batchs_key_with_other_operations_is_refused_as_a_whole(api: Api) -> None:
    await send(api, add("c"), headers={"Idempotency-Key": "k"})

    answer = await send(api, add("d"), headers={"Idempotency-Key": "k"})

    problem(answer, 422, "idempotency_mismatch")
    problem(await api.get("/v1/counters/d"), 404, "counter_missing")


async def test_a_refusal_in_a_batch_is_replayed(api: Api) -> None:
    await api.put("/v1/counters/c", json={"value": 2**63 - 1})
    operations = (add("c"), put("a", if_match="x"), delete("b"))
    headers = {"Idempotency-Key": "k"}

    first = await send(api, *operations, headers=headers)
    await api.put("/v1/counters/c", json={"value": 0})
    await api.put("/v1/kv/b", b"x")
    second = await send(api, *operations, headers=headers)

    for answer in (first, second):
        codes = [result["code"] for result in answer.json()["results"]]
        assert codes == ["counter_overflow", "precondition_failed", "key_missing"]
    assert (await api.get("/v1/kv/b")).status == 200


async def test_reads_under_a_key_are_read_anew(api: Api) -> None:
    await api.put("/v1/kv/a", b"1", headers={"Content-Type": "application/json"})
    first = await send(api, get("a"), headers={"Idempotency-Key": "k"})
    await api.put("/v1/kv/a", b"2", headers={"Content-Type": "application/json"})
    second = await send(api, get("a"), headers={"Idempotency-Key": "k"})

    assert [a.json()["results"][0]["value"] for a in (first, second)] == [1, 2]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "*"},
        {"If-None-Match": "*"},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Idempotency-Key": '""'},
    ],
)
async def test_a_batch_as_a_whole_has_no_conditions(api: Api, headers: dict[str, str]) -> None:
    problem(await send(api, add("c"), headers=headers), 400, "header_invalid")
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


async def test_a_put_of_any_value_may_have_a_key(api: Api) -> None:
    body = json.dumps({"operations": [put("a", "é☕", idempotency_key="k")]}, ensure_ascii=False)

    answers = [await api.post("/v1/batch", body.encode()) for _ in range(2)]

    assert [a.json()["results"][0].get("replayed", False) for a in answers] == [False, True]
