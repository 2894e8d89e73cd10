"""Conditional requests on counters, whose ETag is their value."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, counter, problem, run_out

PATH = "/v1/counters/c"


async def change(api: Api, method: str, headers: dict[str, str]) -> Answer:
    """Set the counter to 9, delete it, or add 1."""
    if method == "POST":
        return await api.step("c", headers=headers)
    body = b'{"value":9}' if method == "PUT" else None
    return await api.send(method, PATH, body, headers=headers)


async def value(api: Api) -> int | None:
    answer = await api.get(PATH)
    return None if answer.status == 404 else int(answer.json()["value"])


async def test_the_etag_is_the_value_in_quotes(api: Api) -> None:
    for number in (0, -7, 2**63 - 1, -(2**63)):
        written = await api.put(PATH, json={"value": number})
        assert written.etag == (await api.get(PATH)).etag == f'"{number}"'


async def test_every_change_of_the_value_changes_the_etag(api: Api) -> None:
    etags = []
    for _ in range(3):
        await api.step("c")
        etags.append((await api.get(PATH)).etag)

    assert etags == ['"1"', '"2"', '"3"']


async def test_with_a_ttl_the_etag_is_weak(api: Api) -> None:
    written = await api.put(PATH, json={"value": 5, "ttl": 60})

    assert written.etag == (await api.get(PATH)).etag == 'W/"5"'
    assert (await api.get(PATH, headers={"If-None-Match": 'W/"5"'})).status == 304
    problem(await api.get(PATH, headers={"If-Match": 'W/"5"'}), 412, "precondition_failed")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_is_304_while_the_value_is_the_same(api: Api, method: str) -> None:
    await api.put(PATH, json={"value": 5})

    for tags, status in (('"5"', 304), ('"4", W/"5"', 304), ("*", 304), ('"4"', 200)):
        answer = await api.send(method, PATH, headers={"If-None-Match": tags})
        assert (answer.status, answer.etag) == (status, '"5"'), tags


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({"If-Match": '"5"'}, True),
        ({"If-Match": '"4", "5"'}, True),
        ({"If-Match": "*"}, True),
        ({"If-Match": '"4"'}, False),
        ({"If-Match": 'W/"5"'}, False),
        ({"If-Match": '"05"'}, False),
        ({"If-Match": '"5,"'}, False),
        ({"If-Match": '","'}, False),
        ({"If-None-Match": '"4"'}, True),
        ({"If-None-Match": '"5"'}, False),
        ({"If-None-Match": 'W/"5"'}, False),
        ({"If-None-Match": "*"}, False),
        ({"If-Match": '"5"', "If-None-Match": '"5"'}, False),
    ],
)
async def test_a_change_is_made_only_if_its_condition_holds(
    api: Api, method: str, headers: dict[str, str], *, holds: bool
) -> None:
    await api.put(PATH, json={"value": 5})

    answer = await change(api, method, headers)

    if holds:
        assert answer.status in {200, 204}
        assert await value(api) == {"PUT": 9, "DELETE": None, "POST": 6}[method]
    else:
        said = problem(answer, 412, "precondition_failed")
        assert (answer.etag, said["etag"]) == ('"5"', '"5"')
        assert await value(api) == 5


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_counter_that_does_not_exist_matches_nothing(api: Api, method: str) -> None:
    for tags in ("*", '"0"', '""'):
        answer = await change(api, method, {"If-Match": tags})
        problem(answer, 412, "precondition_failed")
        assert "ETag" not in answer.headers
        assert await value(api) is None

    assert (await change(api, method, {"If-None-Match": "*"})).status == 200
    problem(await change(api, method, {"If-None-Match": "*"}), 412, "precondition_failed")


async def test_a_missing_counter_is_missing_for_a_conditional_delete_too(api: Api) -> None:
    problem(await change(api, "DELETE", {"If-Match": '"0"'}), 404, "counter_missing")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_a_malformed_condition_is_refused(api: Api, method: str, header: str) -> None:
    await api.put(PATH, json={"value": 5})

    problem(await change(api, method, {header: "5"}), 400, "header_invalid")
    assert await value(api) == 5


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_refusal_is_replayed(api: Api, method: str) -> None:
    await api.put(PATH, json={"value": 5})
    headers = {"If-Match": '"6"', "Idempotency-Key": "k"}

    first = await change(api, method, headers)
    await api.put(PATH, json={"value": 6})
    second = await change(api, method, headers)

    for answer in (first, second):
        problem(answer, 412, "precondition_failed")
        assert answer.etag == '"5"'
    assert (first.replayed, second.replayed) == (False, True)
    assert await value(api) == 6


async def test_bounds_hold_under_a_condition_too(api: Api) -> None:
    await api.put(PATH, json={"value": 5})

    answer = await api.step("c", max=5, headers={"If-Match": '"5"'})

    problem(answer, 409, "counter_bound")


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_of_40_changes_of_one_value_exactly_one_succeeds(
    pods: tuple[Api, Api], method: str
) -> None:
    await pods[0].put(PATH, json={"value": 5})

    answers = await asyncio.gather(
        *(change(pods[i % 2], method, {"If-Match": '"5"'}) for i in range(40))
    )

    assert Counter(a.status for a in answers) == {200: 1, 412: 39}
    assert await value(pods[0]) == {"PUT": 9, "POST": 6}[method]


async def test_an_expired_counter_is_not_changed(api: Api, backend: Backend) -> None:
    await api.put(PATH, json={"value": 5, "ttl": 60})
    run_out(backend, counter("c"))

    problem(await change(api, "POST", {"If-Match": '"5"'}), 412, "precondition_failed")
    assert await value(api) is None
