"""POST to a key that ends in a slash creates entries with new, time-ordered ids."""

from __future__ import annotations

import asyncio
import json
import time
import uuid

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, entry, left_ms, problem

JSON = {"Content-Type": "application/json"}


async def created(api: Api, value: object, path: str = "/v1/kv/tasks/") -> Answer:
    answer = await api.post(path, json.dumps(value).encode(), headers=JSON)
    assert answer.status == 201, answer
    return answer


async def test_a_task_list(api: Api) -> None:
    milk = await created(api, {"title": "milk", "done": False})
    bread = await created(api, {"title": "bread", "done": False})

    listed = (await api.get("/v1/kv?prefix=tasks/")).json()["items"]
    keys = sorted(item["key"] for item in listed)
    assert [f"/v1/kv/{key}" for key in keys] == [
        milk.headers["Location"],
        bread.headers["Location"],
    ]

    where = milk.headers["Location"]
    assert (await api.get(where)).json() == {"title": "milk", "done": False}

    done = await api.patch(where, {"done": True}, headers={"If-Match": milk.etag})
    assert done.status == 200
    assert (await api.get(where)).json() == {"title": "milk", "done": True}

    put = await api.put(where, json={"title": "oat milk"}, headers={"If-Match": done.etag})
    assert put.status == 200
    assert (await api.get(where)).json() == {"title": "oat milk"}

    assert (await api.delete(where)).status == 204
    problem(await api.get(where), 404, "key_missing")
    assert await api.keys("tasks/") == [bread.json()["key"]]


async def test_a_created_entry_says_where_it_is(api: Api) -> None:
    answer = await created(api, {"a": 1})

    key = answer.json()["key"]
    assert answer.json() == {"key": key, "etag": answer.etag, "ttl": 31_104_000}
    assert answer.headers["Location"] == f"/v1/kv/{key}"
    read = await api.get(answer.headers["Location"])
    assert (read.etag, read.headers["Content-Type"]) == (answer.etag, "application/json")


async def test_an_id_is_a_uuid_of_version_7_made_now(api: Api) -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID((await created(api, {})).json()["key"].removeprefix("tasks/"))
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


async def test_ids_are_ordered_by_time(api: Api) -> None:
    keys = [(await created(api, {"i": i})).json()["key"] for i in range(30)]

    assert keys == sorted(keys)
    assert await api.keys("tasks/") == keys


async def test_ids_made_at_once_are_distinct(pods: tuple[Api, Api]) -> None:
    answers = await asyncio.gather(*(created(pods[i % 2], {"i": i}) for i in range(60)))

    assert len({answer.json()["key"] for answer in answers}) == 60
    assert len(await pods[0].keys("tasks/")) == 60


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/v1/kv/a/b/", "a/b"),
        ("/v1/kv/a%2Fb%2F", "a/b"),
        ("/v1/kv/caf%C3%A9%20%2525/", "café %25"),
        ("/v1/kv/a%3Fb/", "a?b"),
    ],
)
async def test_a_collection_is_named_as_a_key_is(api: Api, path: str, prefix: str) -> None:
    answer = await created(api, {"a": 1}, path)

    assert answer.json()["key"].rpartition("/")[0] == prefix
    assert (await api.get(answer.headers["Location"])).json() == {"a": 1}


async def test_a_created_entry_has_the_ttl_and_the_type_asked_for(
    api: Api, backend: Backend
) -> None:
    answer = await api.post("/v1/kv/t/?ttl=60", b"x", headers={"Content-Type": "text/plain"})

    key = answer.json()["key"]
    assert answer.json()["ttl"] == 60
    assert 30_000 <= left_ms(backend, entry(key)) <= 60_000
    assert (await api.get(f"/v1/kv/{key}")).headers["Content-Type"] == "text/plain"


async def test_who_prefers_minimal_still_learns_where(api: Api) -> None:
    answer = await api.post("/v1/kv/t/", b"x", headers={"Prefer": "return=minimal"})

    assert (answer.status, answer.body) == (201, b"")
    assert (await api.get(answer.headers["Location"])).etag == answer.etag


@pytest.mark.parametrize("path", ["/v1/kv/tasks", "/v1/kv/a//", "/v1/kv/a/../", "/v1/kv/%2F"])
async def test_what_names_no_collection_is_refused(api: Api, path: str) -> None:
    problem(await api.post(path, b"x"), 400, "key_invalid")
    assert await api.keys() == []


@pytest.mark.parametrize("length", [512, 476])
async def test_a_collection_without_room_for_an_id_is_too_long(api: Api, length: int) -> None:
    problem(await api.post("/v1/kv/" + "k" * length + "/", b"x"), 414, "key_too_long")


async def test_the_longest_collection_has_room_for_an_id(api: Api) -> None:
    answer = await created(api, {}, "/v1/kv/" + "k" * 475 + "/")

    assert len(answer.json()["key"]) == 512


async def test_the_store_itself_is_no_collection(api: Api) -> None:
    answer = await api.post("/v1/kv/", b"x")

    problem(answer, 405, "method_not_allowed")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


async def test_bytes_with_a_json_content_type_must_be_valid(api: Api) -> None:
    answer = await api.post("/v1/kv/t/", b"{", headers=JSON)

    problem(answer, 400, "body_invalid")
    assert await api.keys() == []
