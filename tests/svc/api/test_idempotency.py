"""Idempotency-Key: an operation is applied at most once, on whichever pod and however often."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from tests.conftest import Backend
from tests.support.services import running_service
from tests.svc.api.client import Api, left_ms, names, problem, run_out


def once(key: str = "key-1", **more: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **more}


async def value(api: Api) -> int:
    return int((await api.get("/v1/counters/c")).json()["value"])


async def test_50_at_once_over_two_pods_apply_one(pods: tuple[Api, Api]) -> None:
    answers = await asyncio.gather(
        *(pods[i % 2].step("c", by=7, headers=once()) for i in range(50))
    )

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == 49
    assert await value(pods[0]) == 7


async def test_a_retry_whose_answer_was_lost_gets_the_first_answer(pods: tuple[Api, Api]) -> None:
    first = await pods[0].step("c", by=5, headers=once())
    await pods[0].step("c", by=100)

    again = await pods[1].step("c", by=5, headers=once())

    assert (again.status, again.body) == (first.status, first.body)
    assert (first.replayed, again.replayed) == (False, True)
    assert "Idempotency-Replayed" not in first.headers
    assert await value(pods[0]) == 105


async def test_the_first_answer_stands_even_after_the_counter_is_gone(api: Api) -> None:
    first = await api.step("c", by=5, headers=once())
    await api.delete("/v1/counters/c")

    again = await api.step("c", by=5, headers=once())

    assert (again.body, again.replayed) == (first.body, True)
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


async def test_every_key_is_an_operation_of_its_own(api: Api) -> None:
    for i in range(5):
        assert (await api.step("c", headers=once(f"key-{i}"))).json()["value"] == i + 1


async def test_a_key_belongs_to_the_resource_it_was_used_on(api: Api) -> None:
    await api.step("c", headers=once())

    other = await api.step("d", headers=once())
    entry = await api.put("/v1/kv/c", b"x", headers=once())

    assert (other.json()["value"], other.replayed) == (1, False)
    assert (entry.status, entry.replayed) == (201, False)


async def test_a_key_means_the_same_quoted_and_bare(api: Api) -> None:
    first = await api.step("c", headers=once("8e03978e-40d5"))

    again = await api.step("c", headers=once('"8e03978e-40d5"'))

    assert (again.body, again.replayed) == (first.body, True)
    assert await value(api) == 1


async def test_escapes_inside_quotes_are_decoded(api: Api) -> None:
    await api.step("c", headers=once(r'"a\"b\\c"'))

    again = await api.step("c", headers=once('a"b\\c'))

    assert again.replayed


@pytest.mark.parametrize(
    "key",
    [
        *("", '""', '"', '"abc', '"a"b"', '"a" "b"', "a b", '"a b"', "tab\tkey", "café"),
        *("k" * 256, '"' + "k" * 256 + '"'),
    ],
)
async def test_a_malformed_key_is_refused_by_name(api: Api, key: str) -> None:
    said = problem(await api.step("c", headers=once(key)), 400, "header_invalid")

    assert "Idempotency-Key" in said["detail"]
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


@pytest.mark.parametrize(
    "key", ["k", "k" * 255, '"' + "k" * 255 + '"', "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"]
)
async def test_a_key_is_any_1_to_255_visible_characters(api: Api, key: str) -> None:
    await api.step("c", headers=once(key))

    assert (await api.step("c", headers=once(key))).replayed


async def test_two_keys_in_one_request_are_refused(api: Api) -> None:
    answer = await api.raw(
        b"POST /v1/counters/c/increments HTTP/1.1\r\nHost: kv\r\nContent-Length: 0\r\n"
        b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"
    )

    problem(answer, 400, "header_invalid")


async def test_the_same_key_with_another_payload_is_a_mismatch(api: Api) -> None:
    await api.step("c", by=1, headers=once())

    said = problem(await api.step("c", by=2, headers=once()), 422, "idempotency_mismatch")

    assert (said["applied"], said["retryable"]) == ("no", False)
    assert await value(api) == 1


async def test_the_same_key_with_another_method_is_a_mismatch(api: Api) -> None:
    await api.step("c", headers=once())

    put = await api.put("/v1/counters/c", json={"value": 1}, headers=once())
    delete = await api.delete("/v1/counters/c", headers=once())

    for answer in (put, delete):
        problem(answer, 422, "idempotency_mismatch")
    assert await value(api) == 1


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/v1/kv/a", b"2", {}),
        ("/v1/kv/a?ttl=60", b"1", {}),
        ("/v1/kv/a", b"1", {"Content-Type": "text/html"}),
        ("/v1/kv/a", b"1", {"If-Match": "*"}),
        ("/v1/kv/a", b"1", {"If-None-Match": "*"}),
    ],
)
async def test_all_that_a_put_says_is_its_payload(
    api: Api, path: str, body: bytes, more: dict[str, str]
) -> None:
    text = {"Content-Type": "text/plain"}
    first = await api.put("/v1/kv/a", b"1", headers=once(**text))

    other = await api.put(path, body, headers=once(**{**text, **more}))

    problem(other, 422, "idempotency_mismatch")
    assert (await api.get("/v1/kv/a")).etag == first.etag


async def test_a_mismatch_does_not_change_the_recorded_outcome(api: Api) -> None:
    first = await api.step("c", by=1, headers=once())
    await api.step("c", by=2, headers=once())

    again = await api.step("c", by=1, headers=once())

    assert (again.body, again.replayed) == (first.body, True)


async def test_a_malformed_request_does_not_use_up_its_key(api: Api) -> None:
    problem(await api.post("/v1/counters/c/increments", b"{", headers=once()), 400, "body_invalid")

    assert (await api.step("c", headers=once())).json()["value"] == 1


async def test_a_record_is_kept_as_long_as_the_setting_says(api: Api, backend: Backend) -> None:
    settings = dataclasses.replace(api.service.settings, idempotency_ttl=77)
    async with running_service(settings) as service:
        short = Api(service)
        await short.step("c", headers=once())
        await short.put("/v1/kv/a", b"x", headers=once())
        await short.delete("/v1/kv/a", headers=once("key-2"))
        await short.post("/v1/kv/a/", b"x", headers=once())
        await short.put("/v1/counters/d", json={"value": 1}, headers=once())
        await short.delete("/v1/counters/d", headers=once("key-2"))

    records = names(backend, "op:*")
    assert len(records) == 7
    assert all(40_000 < left_ms(backend, record) <= 77_000 for record in records)


async def test_after_its_record_expired_a_key_is_new_again(api: Api, backend: Backend) -> None:
    await api.step("c", headers=once())
    await api.put("/v1/kv/a", b"1", headers=once())
    run_out(backend, *names(backend, "op:*"))

    step = await api.step("c", headers=once())
    put = await api.put("/v1/kv/a", b"2", headers=once())

    assert (step.json()["value"], step.replayed) == (2, False)
    assert (put.status, put.replayed) == (200, False)


async def test_an_operation_record_outlives_its_counter(api: Api, backend: Backend) -> None:
    first = await api.step("c", ttl=1, headers=once())
    run_out(backend, *names(backend, "ct:*"))

    again = await api.step("c", ttl=1, headers=once())

    assert (again.body, again.replayed) == (first.body, True)
