"""Listings with values: bounded in bytes, from the byte budget, and no entry missed."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from svc.api.budget import BUDGET, SMALL_BYTES
from svc.api.listed_values import PAGE_BYTES
from svc.stores.names import slot_of
from tests.support.waiting import PATIENT_SECONDS
from tests.svc.api.client import Api, entry, problem

VALUES = "/v1/kv?include=value"


async def follow(api: Api, path: str) -> list[list[dict[str, Any]]]:
    """Return the items of each page."""
    pages, cursor = [], ""
    while True:
        answer = await api.get(path + cursor)
        assert answer.status == 200, answer
        said = answer.json()
        pages.append(said["items"])
        if said["next_cursor"] is None:
            return pages
        cursor = "&cursor=" + quote(said["next_cursor"])


async def test_entries_are_listed_with_their_values(api: Api) -> None:
    raw = {"a/json": b'{"n": 1.50}', "a/bytes": b"\xff\x00", "a/empty": b"", "b": b"1"}
    for key, value in raw.items():
        kind = "application/json" if key == "a/json" else "application/octet-stream"
        await api.put(f"/v1/kv/{key}", value, headers={"Content-Type": kind})

    answer = await api.get(f"{VALUES}&prefix=a/")

    assert b'"value":{"n": 1.50}' in answer.body  # as it is stored
    items = {item["key"]: item for item in answer.json()["items"]}
    plain = {item["key"]: item for item in (await api.get("/v1/kv?prefix=a/")).json()["items"]}
    assert items["a/json"].pop("value") == {"n": 1.5}
    assert base64.b64decode(items["a/bytes"].pop("value_b64")) == b"\xff\x00"
    assert items["a/empty"].pop("value_b64") == ""
    assert items == plain


async def test_a_page_ends_before_its_values_have_more_bytes_than_one_may_have(api: Api) -> None:
    """Whatever their sizes are: each entry is told, and a larger one comes alone."""
    sizes = {f"v/{n}": n % 7 * 40_000 for n in range(60)} | {"v/most": PAGE_BYTES}
    for key, size in sizes.items():
        await api.put(f"/v1/kv/{key}", b"x" * size)

    pages = await follow(api, f"{VALUES}&prefix=v/&limit=1000")

    assert {item["key"]: item["size"] for page in pages for item in page} == sizes
    told = [sum(len(base64.b64decode(item["value_b64"])) for item in page) for page in pages]
    assert max(told) == PAGE_BYTES
    assert len(pages) < len(sizes) / 2


async def test_the_next_page_has_values_too(api: Api) -> None:
    for n in range(30):
        await api.put(f"/v1/kv/k{n}", b"1")

    answer = await api.get(f"{VALUES}&limit=5")

    link = urlsplit(answer.headers["Link"].split(">")[0].lstrip("<"))
    items = (await api.get(f"{link.path}?{link.query}")).json()["items"]
    assert items
    assert all("value_b64" in item for item in items)


async def test_an_entry_that_is_gone_when_it_is_read_is_left_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = api.service.store
    list_entries = store.list_entries

    async def list_then_delete(*arguments: Any, **options: Any) -> Any:
        page = await list_entries(*arguments, **options)
        await api.delete("/v1/kv/gone")
        await api.put("/v1/kv/grown", b"x" * 1_000_000)
        return page

    for key in ("gone", "grown", "stays"):
        await api.put(f"/v1/kv/{key}", b"1")
    monkeypatch.setattr(store, "list_entries", list_then_delete)

    said = (await api.get(VALUES)).json()

    assert {item["key"]: item["size"] for item in said["items"]} == {"grown": 1_000_000, "stays": 1}


@pytest.mark.parametrize("query", ["include=", "include=all", "include=value&include=value"])
async def test_another_include_is_refused(api: Api, query: str) -> None:
    said = problem(await api.get(f"/v1/kv?{query}"), 400, "query_invalid")

    assert said["detail"].startswith("include: ")


async def test_values_that_find_no_room_in_the_process_are_not_read(api: Api) -> None:
    await api.put("/v1/kv/a", b"x" * 2 * SMALL_BYTES)
    budget = api.service.app[BUDGET]
    held = budget.limit - SMALL_BYTES
    budget.hold(held)
    try:
        problem(await api.get(VALUES), 503, "overloaded")
        assert (await api.get("/v1/kv")).status == 200
    finally:
        budget.release(held)

    assert len((await api.get(VALUES)).json()["items"]) == 1


async def test_counters_have_no_include(api: Api) -> None:
    problem(await api.get("/v1/counters?include=value"), 400, "query_invalid")


async def test_a_thousand_empty_entries_with_long_content_types_are_listed(api: Api) -> None:
    # No two share a slot of a Cluster, so each is read by a command of its own.
    by_slot = {slot_of(entry(f"e/{n}")): f"e/{n}" for n in range(2000)}
    keys = list(by_slot.values())[:1000]
    kind = "x/" + "y" * 250
    for at in range(0, len(keys), 500):
        await api.batch(
            *(
                {"op": "put", "key": key, "value_b64": "", "content_type": kind}
                for key in keys[at : at + 500]
            )
        )

    async with asyncio.timeout(PATIENT_SECONDS):
        pages = await follow(api, f"{VALUES}&limit=1000")

    items = {item["key"]: item for page in pages for item in page}
    assert items.keys() == set(keys)
    assert {item["value_b64"] for item in items.values()} == {""}
