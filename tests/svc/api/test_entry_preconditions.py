"""Conditional writes: compare-and-swap, create only, and ETags that are never reused."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, entry, problem, run_out

MALFORMED = ["abc", '"abc', 'abc"', '"a" "b"', '*, "a"', '"a", *', "", ",", 'w/"a"', '"a" x']


async def test_a_put_under_the_current_etag_replaces(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": etag})

    assert answer.status == 200
    assert answer.etag != etag


async def test_a_put_under_a_stale_etag_is_refused_with_the_current_one(api: Api) -> None:
    stale = (await api.put("/v1/kv/a", b"1")).etag
    current = (await api.put("/v1/kv/a", b"2")).etag

    answer = await api.put("/v1/kv/a", b"3", headers={"If-Match": stale})

    said = problem(answer, 412, "precondition_failed")
    assert answer.etag == current
    assert said["applied"] == "no"
    assert (await api.get("/v1/kv/a")).body == b"2"


@pytest.mark.parametrize(
    ("form", "status"),
    [('"x", {}', 200), ('{},"y"', 200), ("*", 200), (', "x",, {},\t,', 200)],
)
async def test_if_match_may_list_etags_or_ask_for_any(api: Api, form: str, status: int) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": form.replace("{}", etag)})

    assert answer.status == status


@pytest.mark.parametrize("form", ["W/{}", '"x", "y"', '"x"', '""'])
async def test_if_match_compares_strongly_and_whole(api: Api, form: str) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": form.replace("{}", etag)})

    problem(answer, 412, "precondition_failed")
    assert answer.etag == etag


@pytest.mark.parametrize("form", ["*", '"x"'])
async def test_if_match_never_creates(api: Api, form: str) -> None:
    answer = await api.put("/v1/kv/a", b"1", headers={"If-Match": form})

    problem(answer, 412, "precondition_failed")
    assert "ETag" not in answer.headers
    assert await api.keys() == []


async def test_if_none_match_any_only_creates(api: Api) -> None:
    created = await api.put("/v1/kv/a", b"1", headers={"If-None-Match": "*"})
    again = await api.put("/v1/kv/a", b"2", headers={"If-None-Match": "*"})

    assert created.status == 201
    problem(again, 412, "precondition_failed")
    assert again.etag == created.etag
    assert (await api.get("/v1/kv/a")).body == b"1"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",,{},'])
async def test_if_none_match_refuses_the_versions_it_lists(api: Api, form: str) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    listed = await api.put("/v1/kv/a", b"2", headers={"If-None-Match": form.replace("{}", etag)})
    other = await api.put("/v1/kv/a", b"3", headers={"If-None-Match": '"x"'})

    problem(listed, 412, "precondition_failed")
    assert other.status == 200


async def test_both_conditions_must_hold(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": etag, "If-None-Match": etag})

    problem(answer, 412, "precondition_failed")


@pytest.mark.parametrize("form", MALFORMED)
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_a_malformed_condition_is_refused_by_name(api: Api, header: str, form: str) -> None:
    await api.put("/v1/kv/a", b"1")

    for method in ("PUT", "DELETE"):
        answer = await api.send(method, "/v1/kv/a", b"2", headers={header: form})
        assert header in problem(answer, 400, "header_invalid")["detail"]

    assert (await api.get("/v1/kv/a")).body == b"1"


async def test_a_delete_honours_its_condition(api: Api) -> None:
    stale = (await api.put("/v1/kv/a", b"1")).etag
    current = (await api.put("/v1/kv/a", b"2")).etag

    refused = await api.delete("/v1/kv/a", headers={"If-Match": stale})
    done = await api.delete("/v1/kv/a", headers={"If-Match": f"{stale}, {current}"})

    problem(refused, 412, "precondition_failed")
    assert refused.etag == current
    assert done.status == 204


async def test_a_delete_may_exclude_versions_by_if_none_match(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    spared = await api.delete("/v1/kv/a", headers={"If-None-Match": etag})
    done = await api.delete("/v1/kv/a", headers={"If-None-Match": '"x"'})

    problem(spared, 412, "precondition_failed")
    assert done.status == 204


async def test_a_missing_entry_is_missing_for_a_conditional_delete_too(api: Api) -> None:
    """RFC 9110 §13.2.1: a precondition is ignored if the response is 404 without it."""
    problem(await api.delete("/v1/kv/a", headers={"If-Match": '"x"'}), 404, "key_missing")


async def test_of_100_swaps_of_one_version_exactly_one_succeeds(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", b"start")).etag

    answers = await asyncio.gather(
        *(api.put("/v1/kv/a", b"%d" % i, headers={"If-Match": etag}) for i in range(100))
    )

    assert Counter(a.status for a in answers) == {200: 1, 412: 99}
    winner = next(i for i, a in enumerate(answers) if a.status == 200)
    assert (await api.get("/v1/kv/a")).body == b"%d" % winner
    assert {a.etag for a in answers} == {answers[winner].etag}


async def test_of_100_creations_exactly_one_succeeds(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.put("/v1/kv/a", b"%d" % i, headers={"If-None-Match": "*"}) for i in range(100))
    )

    assert Counter(a.status for a in answers) == {201: 1, 412: 99}
    winner = next(i for i, a in enumerate(answers) if a.status == 201)
    assert (await api.get("/v1/kv/a")).body == b"%d" % winner


async def test_two_pods_swap_no_less_exactly_than_one(pods: tuple[Api, Api]) -> None:
    etag = (await pods[0].put("/v1/kv/a", b"start")).etag

    answers = await asyncio.gather(
        *(pods[i % 2].put("/v1/kv/a", b"%d" % i, headers={"If-Match": etag}) for i in range(60))
    )

    assert Counter(a.status for a in answers) == {200: 1, 412: 59}


async def test_swaps_that_retry_lose_no_update(pods: tuple[Api, Api]) -> None:
    await pods[0].put("/v1/kv/sum", b"0")

    async def add_one(api: Api) -> Answer:
        while True:
            seen = await api.get("/v1/kv/sum")
            more = b"%d" % (int(seen.body) + 1)
            answer = await api.put("/v1/kv/sum", more, headers={"If-Match": seen.etag})
            if answer.status == 200:
                return answer

    await asyncio.gather(*(add_one(pods[i % 2]) for i in range(16)))

    assert (await pods[0].get("/v1/kv/sum")).body == b"16"


async def test_an_entry_that_expired_since_it_was_read_is_not_swapped(
    api: Api, backend: Backend
) -> None:
    etag = (await api.put("/v1/kv/a?ttl=60", b"1")).etag
    run_out(backend, entry("a"))

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": etag})

    problem(answer, 412, "precondition_failed")
    problem(await api.get("/v1/kv/a"), 404, "key_missing")


@pytest.mark.parametrize("how", ["expired", "deleted"])
async def test_the_etag_of_a_deleted_entry_matches_nothing(
    api: Api, backend: Backend, how: str
) -> None:
    etag = (await api.put("/v1/kv/a", b"same")).etag
    if how == "expired":
        run_out(backend, entry("a"))
    else:
        await api.delete("/v1/kv/a")
    made_again = (await api.put("/v1/kv/a", b"same")).etag

    answer = await api.put("/v1/kv/a", b"2", headers={"If-Match": etag})

    problem(answer, 412, "precondition_failed")
    assert answer.etag == made_again
    assert (await api.delete("/v1/kv/a", headers={"If-Match": etag})).status == 412
    assert (await api.get("/v1/kv/a", headers={"If-None-Match": etag})).status == 200


async def test_no_etag_is_ever_used_twice(pods: tuple[Api, Api]) -> None:
    etags = []
    for i in range(40):
        api = pods[i % 2]
        etags.append((await api.put("/v1/kv/a", b"{}")).etag)
        etags.append((await api.put("/v1/kv/a?ttl=keep", b"{}")).etag)
        etags.append((await api.patch("/v1/kv/a", {})).etag)
        etags.append((await api.put("/a", b"{}")).etag)
        etags.append((await api.batch({"op": "put", "key": "a", "value": {}}))[0]["etag"])
        etags.append((await api.post("/v1/kv/a/", b"{}")).etag)
        await api.delete("/v1/kv/a")

    assert len(set(etags)) == len(etags)


FIRST_DAY = "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_date_cannot_guard_a_write(api: Api, method: str) -> None:
    await api.put("/v1/kv/a", b"1")

    answer = await api.send(method, "/v1/kv/a", headers={"If-Unmodified-Since": FIRST_DAY})

    problem(answer, 400, "header_invalid")
    assert (await api.get("/v1/kv/a")).body == b"1"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_beside_if_match_the_date_is_ignored(api: Api, method: str) -> None:
    etag = (await api.put("/v1/kv/a", b"1")).etag

    headers = {"If-Match": etag, "If-Unmodified-Since": FIRST_DAY}
    answer = await api.send(method, "/v1/kv/a", headers=headers)

    assert answer.status in {200, 204}


@pytest.mark.parametrize("date", ["yesterday", FIRST_DAY.replace("GMT", "+0000"), ""])
async def test_what_is_not_a_date_is_ignored(api: Api, date: str) -> None:
    answer = await api.put("/v1/kv/a", b"1", headers={"If-Unmodified-Since": date})

    assert answer.status == 201
