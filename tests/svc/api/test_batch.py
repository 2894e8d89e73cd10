"""POST /v1/batch: each result equals the response of the single request, in the same order."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Api, counter, entry, left_ms, run_out

LOWEST, HIGHEST = -(2**63), 2**63 - 1
DEFAULT_TTL = 31_104_000


def put(key: str, value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"op": "put", "key": key, "value": value, **more}


def get(key: str) -> dict[str, Any]:
    return {"op": "get", "key": key}


def delete(key: str, **more: Any) -> dict[str, Any]:
    return {"op": "delete", "key": key, **more}


def add(name: str, by: int = 1, **more: Any) -> dict[str, Any]:
    return {"op": "add", "counter": name, "by": by, **more}


async def test_each_operation_answers_as_its_single_request(api: Api) -> None:
    wrote, read, counted, deleted = await api.batch(
        put("a/b", {"n": 1}), get("a/b"), {"op": "add", "counter": "c"}, delete("a/b")
    )

    etag = wrote["etag"]
    assert wrote == {"status": 201, "key": "a/b", "etag": etag, "ttl": DEFAULT_TTL}
    assert read == {
        "status": 200,
        "key": "a/b",
        "etag": etag,
        "ttl": DEFAULT_TTL,
        "content_type": "application/json",
        "value": {"n": 1},
    }
    assert counted == {"status": 200, "name": "c", "value": 1, "value_text": "1", "applied_by": 1}
    assert deleted == {"status": 204, "key": "a/b"}
    assert await api.keys() == []


async def test_a_batch_and_single_requests_see_the_same_entries(api: Api) -> None:
    single = await api.put("/v1/kv/one?ttl=60", b"1", headers={"Content-Type": "text/plain"})

    read, _ = await api.batch(get("one"), put("two", [1, 2]))

    assert read["etag"] == single.etag
    assert (read["content_type"], read["value_b64"]) == ("text/plain", "MQ==")
    assert 30 <= read["ttl"] <= 60
    two = await api.get("/v1/kv/two")
    assert (two.body, two.headers["Content-Type"]) == (b"[1,2]", "application/json")


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"plain", bytes(range(256))])
async def test_bytes_travel_in_base64(api: Api, body: bytes) -> None:
    text = base64.b64encode(body).decode()

    wrote, read = await api.batch({"op": "put", "key": "a", "value_b64": text}, get("a"))

    assert wrote["status"] == 201
    assert read["value_b64"] == text
    assert "value" not in read
    assert read["content_type"] == "application/octet-stream"
    assert (await api.get("/v1/kv/a")).body == body


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "false",
        "0",
        '""',
        "[]",
        "{}",
        '"x"',
        "18446744073709551617",
        "1.10",
        '{"a": [1 ,2]}',
    ],
)
async def test_any_json_is_a_value_and_keeps_its_digits(api: Api, value: str) -> None:
    await api.post(
        "/v1/batch", b'{"operations":[{"op":"put","key":"a","value":%b}]}' % value.encode()
    )

    answer = await api.post("/v1/batch", b'{"operations":[{"op":"get","key":"a"}]}')

    assert (await api.get("/v1/kv/a")).body == value.encode()
    assert b'"value":' + value.encode() in answer.body


async def test_json_sent_as_bytes_comes_back_as_a_value(api: Api) -> None:
    text = base64.b64encode(b'{"a":1}').decode()

    _, read = await api.batch(
        {"op": "put", "key": "a", "value_b64": text, "content_type": "application/geo+json"},
        get("a"),
    )

    assert (read["value"], read["content_type"]) == ({"a": 1}, "application/geo+json")


@pytest.mark.parametrize(
    ("ttl", "kept"), [({}, DEFAULT_TTL), ({"ttl": 60}, 60), ({"ttl": None}, DEFAULT_TTL)]
)
async def test_a_put_has_the_ttl_asked_for(
    api: Api, backend: Backend, ttl: dict[str, Any], kept: int
) -> None:
    (wrote,) = await api.batch(put("a", **ttl))

    assert wrote["ttl"] == kept
    assert kept * 1000 - 5000 <= left_ms(backend, entry("a")) <= kept * 1000


async def test_a_put_may_never_expire_or_keep_its_ttl(api: Api, backend: Backend) -> None:
    never, kept = await api.batch(put("a", ttl="none"), put("a", 2, ttl="keep"))
    assert (never["ttl"], kept["ttl"]) == (None, None)
    assert left_ms(backend, entry("a")) == -1

    _, kept, made, read = await api.batch(
        put("b", ttl=60), put("b", 2, ttl="keep"), put("c", ttl="keep"), get("b")
    )
    assert 30 <= kept["ttl"] <= 60
    assert (made["status"], made["ttl"]) == (201, DEFAULT_TTL)
    assert read["value"] == 2


async def test_order_within_one_key_is_kept(api: Api) -> None:
    results = await api.batch(
        get("a"), put("a", 1), get("a"), put("a", 2), put("a", 3), get("a"),
        delete("a"), get("a"), delete("a"), put("a", 4), get("a"),
    )  # fmt: skip

    assert [r["status"] for r in results] == [404, 201, 200, 200, 200, 200, 204, 404, 404, 201, 200]
    assert [r["value"] for r in results if "value" in r] == [1, 3, 4]


async def test_order_within_one_counter_is_kept(api: Api) -> None:
    steps = [1, 2, -10, 5, 0, -3, 7]

    results = await api.batch(*(add("c", by) for by in steps))

    assert [r["value"] for r in results] == [1, 3, -7, -2, -2, -5, 2]
    assert [r["applied_by"] for r in results] == steps


async def test_order_is_kept_past_operations_of_every_kind(api: Api) -> None:
    results = await api.batch(
        put("k", 0), add("k", 1), put("k", 1, if_match="*"), add("k", 2, idempotency_key="i"),
        get("k"), add("k", 4), put("k", 2, ttl="keep"), get("k"), add("k", 8),
    )  # fmt: skip

    assert [r["value"] for r in results if "name" in r] == [1, 3, 7, 15]
    assert [r["value"] for r in results if "content_type" in r] == [1, 2]


async def test_an_overflow_in_the_middle_refuses_that_step_only(api: Api) -> None:
    await api.put("/v1/counters/c", json={"value": HIGHEST - 1})

    results = await api.batch(add("c", 1), add("c", 1), add("c", -5), add("c", LOWEST), add("d", 1))

    assert [r["status"] for r in results] == [200, 409, 200, 200, 200]
    assert results[1]["code"] == "counter_overflow"
    assert [r.get("value_text") for r in results] == [
        *(str(HIGHEST), None, str(HIGHEST - 5), "-6", "1")
    ]


@pytest.mark.parametrize("start", [2**53 - 1, 2**53, HIGHEST - 2, LOWEST, -(2**53) - 1])
async def test_sums_are_exact(api: Api, start: int) -> None:
    await api.put("/v1/counters/c", json={"value": start})

    results = await api.batch(add("c", 1), add("c", 1))

    assert [r["value"] for r in results] == [start + 1, start + 2]
    assert [r["value_text"] for r in results] == [str(start + 1), str(start + 2)]


async def test_if_match_guards_a_put_and_a_delete(api: Api) -> None:
    stale = (await api.put("/v1/kv/a", b"1")).etag
    current = (await api.put("/v1/kv/a", b"2")).etag

    refused, kept, swapped, gone = await api.batch(
        put("a", if_match=stale), delete("a", if_match=stale),
        put("a", 3, if_match=current), delete("b", if_match=current),
    )  # fmt: skip

    for result in (refused, kept):
        assert (result["status"], result["code"]) == (412, "precondition_failed")
        assert result["etag"] == current
    assert swapped["status"] == 200
    assert gone["status"] == 404
    (deleted,) = await api.batch(delete("a", if_match=swapped["etag"]))
    assert deleted == {"status": 204, "key": "a"}


async def test_if_match_never_creates(api: Api) -> None:
    any_, stale = await api.batch(put("a", if_match="*"), put("b", if_match='"x"'))

    assert (any_["status"], stale["status"]) == (412, 412)
    assert await api.keys() == []


async def test_an_idempotency_key_applies_its_step_once(pods: tuple[Api, Api]) -> None:
    step = add("c", 5, idempotency_key="once")
    (first,) = await pods[0].batch(step)
    (again,) = await pods[1].batch(step)
    first_of_two, second_of_two = await pods[0].batch(
        add("c", 7, idempotency_key='"other"'), add("c", 7, idempotency_key="other")
    )

    assert again == {**first, "replayed": True}
    assert (first_of_two["value"], second_of_two["value"]) == (12, 12)
    assert second_of_two["replayed"] is True
    (mismatch,) = await pods[0].batch(add("c", 6, idempotency_key="once"))
    assert (mismatch["status"], mismatch["code"]) == (422, "idempotency_mismatch")


async def test_a_step_after_expiry_starts_anew(api: Api, backend: Backend) -> None:
    await api.step("c", by=5, ttl=60)
    run_out(backend, counter("c"))

    (result,) = await api.batch(add("c", 1))

    assert result["value"] == 1


async def test_500_operations_are_served(api: Api) -> None:
    wrote = await api.batch(*(put(f"k/{i}", {"i": i}) for i in range(500)))
    read = await api.batch(*(get(f"k/{i}") for i in range(500)))
    steps = await api.batch(*(add(f"c{i % 50}", i) for i in range(500)))
    gone = await api.batch(*(delete(f"k/{i}") for i in range(500)))

    assert {r["status"] for r in wrote} == {201}
    assert [r["value"]["i"] for r in read] == list(range(500))
    assert [r["name"] for r in steps] == [f"c{i % 50}" for i in range(500)]
    assert steps[499]["value"] == sum(range(49, 500, 50))
    assert {r["status"] for r in gone} == {204}


async def test_batches_at_once_step_one_counter_exactly(pods: tuple[Api, Api]) -> None:
    batches = await asyncio.gather(
        *(pods[i % 2].batch(*[add("c", 1)] * 20, add("c", -20), add("c", 1)) for i in range(20))
    )

    assert {r["status"] for batch in batches for r in batch} == {200}
    assert (await pods[0].get("/v1/counters/c")).json()["value"] == 20


async def test_an_answer_is_not_to_be_cached(api: Api) -> None:
    answer = await api.post("/v1/batch", json={"operations": [get("a")]})

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"


async def test_large_values_are_answered_up_to_a_bound_and_then_refused_one_by_one(
    api: Api,
) -> None:
    large = json.dumps("x" * 1_000_000).encode()
    await api.put("/v1/kv/large", large, headers={"Content-Type": "application/json"})

    results = await api.batch(*[get("large")] * 30)

    statuses = [r["status"] for r in results]
    assert set(statuses) == {200, 413}
    assert statuses == sorted(statuses)
    assert statuses.count(200) >= 4
