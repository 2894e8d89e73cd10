"""Deletion by prefix: all of the prefix and nothing else, a bounded number a call."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.conftest import Backend
from tests.support.event_streams import watching
from tests.support.services import Service
from tests.svc.api.client import Api, problem
from tests.svc.api.client import entry as entry_name
from tests.svc.api.test_listing import LISTINGS, NAME, fill

#: As many as to need several calls.
MANY = [f"a:{n}" for n in range(130)]
OTHERS = ["a", "A:1", "b:a:1", "*"]


async def names(api: Api, path: str) -> set[str]:
    items = (await api.get(f"{path}?limit=1000")).json()["items"]
    return {item[NAME[path]] for item in items}


async def delete_all(api: Api, path: str, query: str) -> list[int]:
    """Call until the end. Return how many each call deleted."""
    counts: list[int] = []
    cursor = ""
    while len(counts) < 1000:
        answer = await api.delete(f"{path}?{query}{cursor}")
        assert answer.status == 200, answer
        said: dict[str, Any] = answer.json()
        assert said.keys() == {"deleted", "next_cursor"}
        counts.append(said["deleted"])
        if said["next_cursor"] is None:
            return counts
        cursor = "&cursor=" + quote(said["next_cursor"])
    raise AssertionError("it has no end")


@pytest.mark.parametrize("path", LISTINGS)
async def test_all_of_a_prefix_is_deleted_and_nothing_else(api: Api, path: str) -> None:
    others = [name for name in OTHERS if path == "/v1/kv" or name != "*"]
    other = next(each for each in LISTINGS if each != path)
    await fill(api, path, MANY + others)
    await fill(api, other, MANY[:3])

    counts = await delete_all(api, path, "prefix=a:&limit=20")

    assert sum(counts) == len(MANY)
    assert max(counts) <= 20
    assert await names(api, path) == set(others)
    assert await names(api, other) == set(MANY[:3])
    assert sum(await delete_all(api, path, "prefix=a:")) == 0


async def test_a_prefix_is_literal(api: Api) -> None:
    await fill(api, "/v1/kv", ["*1", "a1", "?1"])

    assert sum(await delete_all(api, "/v1/kv", "prefix=*")) == 1
    assert await names(api, "/v1/kv") == {"a1", "?1"}


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("query", ["", "?prefix=", "?limit=10", "?prefix", "?Prefix=a"])
async def test_without_a_prefix_nothing_is_deleted(api: Api, path: str, query: str) -> None:
    await fill(api, path, ["a"])

    said = problem(await api.delete(path + query), 400, "query_invalid")

    assert "refix" in said["detail"]
    assert said["applied"] == "no"
    assert await names(api, path) == {"a"}


@pytest.mark.parametrize("path", LISTINGS)
async def test_a_path_that_has_lost_its_name_deletes_nothing(api: Api, path: str) -> None:
    await fill(api, path, ["a"])

    problem(await api.delete(f"{path}/?prefix=a"), 405, "method_not_allowed")

    assert await names(api, path) == {"a"}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=x", "include=value", "wait=1"])
async def test_a_wrong_parameter_is_refused(api: Api, query: str) -> None:
    await fill(api, "/v1/kv", ["a"])

    code = "cursor_invalid" if "cursor" in query else "query_invalid"
    problem(await api.delete(f"/v1/kv?prefix=a&{query}"), 400, code)

    assert await names(api, "/v1/kv") == {"a"}


async def test_what_a_later_release_wrote_is_left(api: Api, backend: Backend) -> None:
    await fill(api, "/v1/kv", ["a1", "a2"])
    for each in backend.clients:
        with contextlib.suppress(redis.ResponseError):  # MOVED: another server has the slot
            each.setrange(entry_name("a1"), 0, b"\x02")

    assert sum(await delete_all(api, "/v1/kv", "prefix=a")) == 1
    problem(await api.get("/v1/kv/a1"), 500, "store_corrupt")


async def test_whoever_watches_is_told(service: Service, api: Api) -> None:
    await fill(api, "/v1/kv", ["w/1", "w/2", "x"])
    await fill(api, "/v1/counters", ["w"])
    async with (
        watching(service.client, service.url("/v1/kv?prefix="), {}) as entries,
        watching(service.client, service.url("/v1/counters/w"), {}) as counter,
    ):
        await entries.until(lambda w: "synced" in w.names)
        await counter.until(lambda w: "synced" in w.names)

        await delete_all(api, "/v1/kv", "prefix=w/")
        await delete_all(api, "/v1/counters", "prefix=w")

        await entries.until(lambda w: w.state.keys() == {"x"})
        await counter.until(lambda w: not w.state)
