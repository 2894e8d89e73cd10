"""Listings: literal prefixes, validated cursors, and no key missed that exists throughout."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from svc.settings import Settings
from svc.stores import listing
from svc.stores.listing import MAX_ROUNDS, SPARSE_COUNT
from tests.conftest import Backend
from tests.support.redis_servers import RedisServer
from tests.support.services import running_service
from tests.support.waiting import PATIENT_SECONDS
from tests.svc.api.client import Api, problem, run_out
from tests.svc.api.client import entry as entry_name

LISTINGS = ["/v1/kv", "/v1/counters"]
NAME = {"/v1/kv": "key", "/v1/counters": "name"}


async def fill(api: Api, path: str, names: list[str]) -> None:
    for i in range(0, len(names), 500):
        if path == "/v1/kv":
            await api.batch(*({"op": "put", "key": n, "value": 1} for n in names[i : i + 500]))
        else:
            await api.batch(*({"op": "add", "counter": n} for n in names[i : i + 500]))


async def pages(api: Api, path: str, query: str, at_most: int = 3000) -> AsyncIterator[list[str]]:
    """Yield the names on each page, following ``next_cursor`` to the end."""
    cursor = ""
    for _ in range(at_most):
        answer = await api.get(f"{path}?{query}{cursor}")
        assert answer.status == 200, answer
        said = answer.json()
        names = [item[NAME[path]] for item in said["items"]]
        assert len(names) == len(set(names)), "a page holds a duplicate"
        yield names
        if said["next_cursor"] is None:
            assert "Link" not in answer.headers
            return
        cursor = "&cursor=" + quote(said["next_cursor"])
    raise AssertionError("the listing does not end")


async def test_a_page_that_has_found_nothing_goes_on_while_there_is_time(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"kv:{i}": b"" for i in range(3 * MAX_ROUNDS * SPARSE_COUNT)}
    with contextlib.closing(shared_redis.client()) as redis:
        redis.mset(names)
    async with running_service(Settings(store_url=shared_redis.url)) as service:
        api, query = Api(service), "prefix=none-begins-so"

        monkeypatch.setattr(listing, "EMPTY_PAGE_SECONDS", 0.0)
        assert len([page async for page in pages(api, "/v1/kv", query)]) >= 3
        monkeypatch.setattr(listing, "EMPTY_PAGE_SECONDS", PATIENT_SECONDS)
        monkeypatch.setattr(listing, "EMPTY_PAGE_PART", PATIENT_SECONDS)
        assert [page async for page in pages(api, "/v1/kv", query)] == [[]]
        # What it finds at last is read.
        await api.put("/v1/kv/some-begins-so", b"v")
        found = [page async for page in pages(api, "/v1/kv", "prefix=some-begins-so")]
        assert [name for page in found for name in page] == ["some-begins-so"]


async def test_an_entry_is_listed_with_what_is_known_of_it(api: Api) -> None:
    one = await api.put("/v1/kv/one?ttl=60", b"12345", headers={"Content-Type": "text/plain"})
    two = await api.put("/v1/kv/two?ttl=none", b"", skip_auto_headers=["Content-Type"])

    answer = await api.get("/v1/kv")

    assert answer.json()["next_cursor"] is None
    first, second = sorted(answer.json()["items"], key=lambda item: str(item["key"]))
    assert first.pop("ttl") in range(30, 61)
    assert first == {"key": "one", "etag": one.etag, "size": 5, "content_type": "text/plain"}
    assert second == {
        "key": "two",
        "etag": two.etag,
        "ttl": None,
        "size": 0,
        "content_type": "application/octet-stream",
    }


async def test_a_counter_is_listed_with_its_value(api: Api) -> None:
    await api.put("/v1/counters/high", json={"value": 2**63 - 1})
    await api.put("/v1/counters/soon", json={"value": -1, "ttl": 60})

    answer = await api.get("/v1/counters")

    high, soon = sorted(answer.json()["items"], key=lambda item: str(item["name"]))
    assert high == {"name": "high", "value": 2**63 - 1, "value_text": str(2**63 - 1), "ttl": None}
    assert soon.pop("ttl") in range(30, 61)
    assert soon == {"name": "soon", "value": -1, "value_text": "-1"}


@pytest.mark.parametrize("path", LISTINGS)
async def test_an_empty_store_has_an_empty_listing(api: Api, path: str) -> None:
    found = [name async for page in pages(api, path, "prefix=none") for name in page]

    assert found == []


async def test_entries_counters_and_records_are_listed_apart(api: Api) -> None:
    await api.put("/v1/kv/same", b"x", headers={"Idempotency-Key": "k"})
    await api.step("same", headers={"Idempotency-Key": "k"})

    assert await api.keys() == ["same"]
    items = (await api.get("/v1/counters")).json()["items"]
    assert [item["name"] for item in items] == ["same"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", 14),
        ("a", 9),
        ("a*", 1),
        ("a?", 1),
        ("[", 1),
        ("[a-z]", 1),
        ("a[x]", 1),
        ("\\", 1),
        ("a\\", 1),
        ("a/", 2),
        ("é", 1),
        ("e\u0301", 1),
        ("{", 1),
        ("kv:", 0),
        ("A", 0),
        ("a+", 1),
        ("a ", 1),
    ],
)
async def test_a_prefix_is_literal(api: Api, prefix: str, found: int) -> None:
    keys = ["a", "ab", "a*b", "a?b", "a[x]b", "a\\b", "a/1", "a/2", "a b"]
    keys = [*keys, "[a-z]", "\\x", "é", "e\u0301", "{t}"]
    if prefix == "a+":
        keys = ["a+b", "a b"]
    await fill(api, "/v1/kv", keys)

    listed = await api.keys(quote(prefix, safe=""))

    assert listed == sorted(key for key in keys if key.startswith(prefix))
    assert len(listed) == found


async def test_a_prefix_of_counters_is_literal_too(api: Api) -> None:
    await fill(api, "/v1/counters", ["a.b", "a.c", "axb", "b.a"])

    answer = await api.get("/v1/counters?prefix=a.")

    assert sorted(item["name"] for item in answer.json()["items"]) == ["a.b", "a.c"]


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "abc", "", "1e1", "10.0", "true"])
async def test_a_limit_that_is_no_whole_number_from_1_to_1000_is_refused_by_name(
    api: Api, path: str, limit: str
) -> None:
    said = problem(await api.get(f"{path}?limit={limit}"), 400, "query_invalid")

    assert "limit" in said["detail"]


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("query", ["prefx=a", "limit=1&limit=2", "prefix=a&prefix=b"])
async def test_parameters_are_known_and_given_once(api: Api, path: str, query: str) -> None:
    problem(await api.get(f"{path}?{query}"), 400, "query_invalid")


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("prefix", ["%FF", "%ED%A0%80", "%zz", "a%"])
async def test_a_prefix_that_is_not_utf8_is_refused(api: Api, path: str, prefix: str) -> None:
    """No key begins so. Taken literally, ``%FF`` would list keys that begin with ``%25FF``."""
    await api.put("/v1/kv/%25FFx", b"x")

    assert (await api.get(f"{path}?prefix={prefix}")).status == 400


@pytest.mark.parametrize("path", LISTINGS)
async def test_a_page_holds_100_unless_told(api: Api, path: str) -> None:
    names = [f"n{i}" for i in range(120)]
    await fill(api, path, names)

    sizes = [len(page) async for page in pages(api, path, "")]

    assert max(sizes) <= 100
    assert sum(sizes) >= 120


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_of_any_size_give_every_name(api: Api, path: str, limit: int) -> None:
    # A page holds at least a name, so there are no more pages than names.
    names = [f"n:{i}" for i in range(min(300, 60 * limit))]
    await fill(api, path, names)
    await fill(api, path, [f"other:{i}" for i in range(50)])

    found: list[str] = []
    async for page in pages(api, path, f"prefix=n:&limit={limit}"):
        assert len(page) <= limit
        found += page

    assert set(found) == set(names)


@pytest.mark.parametrize("path", LISTINGS)
async def test_the_link_header_leads_to_the_next_page(api: Api, path: str) -> None:
    prefix = "a+b *é/" if path == "/v1/kv" else "a:"
    names = [f"{prefix}{i}" for i in range(40)]
    await fill(api, path, names)

    found: set[str] = set()
    where = f"{path}?limit=9&prefix={quote(prefix, safe='')}"
    for _ in range(100):
        answer = await api.get(where)
        found |= {item[NAME[path]] for item in answer.json()["items"]}
        if "Link" not in answer.headers:
            break
        target, _, parameters = answer.headers["Link"].partition(">")
        assert parameters == '; rel="next"'
        where = target.removeprefix("<")
        assert urlsplit(where).path == path

    assert found == set(names)


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize("limit", [3, 40])
async def test_names_that_stand_throughout_are_never_missed(
    api: Api, path: str, limit: int
) -> None:
    standing = [f"s{i}" for i in range(150)]
    await fill(api, path, standing)
    passing = [f"p{i}" for i in range(400)]

    found: list[str] = []
    turn = 0
    async for page in pages(api, path, f"limit={limit}"):
        found += page
        turn += 1
        # Grow and shrink the server's hash tables while the listing runs.
        if turn <= 12 and turn % 2:
            await fill(api, path, passing)
        elif turn <= 12 and path == "/v1/kv":
            await api.batch(*({"op": "delete", "key": name} for name in passing))
        elif turn <= 12:
            for name in passing[::4]:
                await api.delete(f"/v1/counters/{name}")

    assert set(standing) <= set(found)
    assert set(found) <= set(standing) | set(passing)


async def test_an_expired_entry_is_not_listed(api: Api, backend: Backend) -> None:
    await fill(api, "/v1/kv", ["a", "b"])
    run_out(backend, entry_name("a"))

    assert await api.keys() == ["b"]


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize(
    "cursor", ["0", "1", "garbage", "", "%00", "%C3%A9", "AAAA", "null", "zzzzzzzz", "%3D%3D%3D"]
)
async def test_a_cursor_that_was_not_made_here_is_refused(api: Api, path: str, cursor: str) -> None:
    problem(await api.get(f"{path}?cursor={cursor}"), 400, "cursor_invalid")


async def first_cursor(api: Api, path: str, prefix: str) -> str:
    await fill(api, path, [f"{prefix}{i}" for i in range(50)])
    said: dict[str, Any] = (await api.get(f"{path}?limit=5&prefix={prefix}")).json()
    return quote(said["next_cursor"])


@pytest.mark.parametrize("path", LISTINGS)
async def test_a_cursor_serves_its_own_prefix_only(api: Api, path: str) -> None:
    cursor = await first_cursor(api, path, "a")

    assert (await api.get(f"{path}?prefix=a&cursor={cursor}")).status == 200
    problem(await api.get(f"{path}?prefix=b&cursor={cursor}"), 400, "cursor_invalid")
    problem(await api.get(f"{path}?cursor={cursor}"), 400, "cursor_invalid")


async def test_a_cursor_of_entries_is_refused_for_counters(api: Api) -> None:
    """It would begin in the middle, and miss counters that exist throughout."""
    cursor = await first_cursor(api, "/v1/kv", "a")
    await fill(api, "/v1/counters", [f"a{i}" for i in range(50)])

    problem(await api.get(f"/v1/counters?prefix=a&cursor={cursor}"), 400, "cursor_invalid")


async def test_a_page_is_served_to_another_pod_too(pods: tuple[Api, Api]) -> None:
    await fill(pods[0], "/v1/kv", [f"k{i}" for i in range(60)])

    found, cursor = set(), ""
    for turn in range(200):
        said = (await pods[turn % 2].get(f"/v1/kv?limit=7{cursor}")).json()
        found |= {item["key"] for item in said["items"]}
        if said["next_cursor"] is None:
            break
        cursor = "&cursor=" + quote(said["next_cursor"])

    assert found == {f"k{i}" for i in range(60)}
