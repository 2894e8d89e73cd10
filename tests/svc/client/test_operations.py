"""Each operation of both clients, on a running service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from svc.client import (
    Batch,
    Client,
    CounterBound,
    CounterMissing,
    Entry,
    Invalid,
    KeyMissing,
    NotJson,
    PreconditionFailed,
)
from svc.settings import Settings
from tests.support.key_texts import expected_error, texts
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service, service_process
from tests.svc.client.clients import KINDS, open_client


@pytest.fixture
async def served(shared_redis: RedisServer) -> AsyncIterator[Service]:
    shared_redis.client().flushall()
    async with running_service(Settings(store_url=shared_redis.url)) as service:
        yield service


@pytest.fixture(params=KINDS)
async def kv(request: pytest.FixtureRequest, served: Service) -> AsyncIterator[Any]:
    async with open_client(request.param, served.base) as client:
        yield client


async def test_an_entry_is_written_read_patched_and_deleted(kv: Any) -> None:
    written = await kv.put("a/b", {"n": 1, "x": "y"}, ttl=600)
    entry = await kv.get("a/b")

    assert (entry.etag, entry.content_type, entry.size) == (written.etag, "application/json", 15)
    assert entry.json() == {"n": 1, "x": "y"}
    assert 0 < entry.ttl <= 600
    assert await kv.get_if_changed("a/b", written.etag) is None

    patched = await kv.patch("a/b", {"x": None, "z": [2]})
    assert (await kv.get_if_changed("a/b", written.etag)).etag == patched.etag
    assert (await kv.find("a/b")).json() == {"n": 1, "z": [2]}

    with pytest.raises(PreconditionFailed) as caught:
        await kv.delete("a/b", if_match=written.etag)
    assert (caught.value.etag, caught.value.applied) == (patched.etag, "no")
    assert len(caught.value.trace_id) == 32

    assert await kv.delete("a/b", if_match=patched.etag) is True
    assert await kv.delete("a/b") is False
    assert await kv.find("a/b") is None
    with pytest.raises(KeyMissing):
        await kv.get("a/b")


async def test_values_keep_their_bytes_and_types(kv: Any) -> None:
    await kv.put("bytes", b"\0\xff")
    await kv.put("text", "grün", ttl="none")
    await kv.put("typed", "<p>", content_type="text/html")
    await kv.put("none", None)
    await kv.put("empty", b"")
    task = await kv.create("tasks/", {"title": "write"})

    read = {key: await kv.get(key) for key in ("bytes", "text", "typed", "none", "empty", task.key)}

    assert read["bytes"].body == b"\0\xff"
    assert (read["text"].text, read["text"].ttl) == ("grün", None)
    assert read["typed"].content_type == "text/html"
    assert (read["none"].body, read["none"].json()) == (b"null", None)
    assert read["empty"].body == b""
    assert read[task.key].json(dict[str, str]) == {"title": "write"}
    with pytest.raises(NotJson):
        await kv.patch("text", {})
    for refused in (
        kv.put("k", {1, object()}),
        kv.put("k", "\udc00"),
        kv.put("k", "v", content_type="text/ü"),
        kv.put("k", "v", content_type="text/plain\nX: y"),
        kv.put("k", "v", idempotency_key="a b"),
        kv.all("entries", "\udc00"),
    ):
        with pytest.raises(Invalid):
            await refused


async def test_an_update_applies_every_change_and_keeps_what_it_does_not_mean(kv: Any) -> None:
    await kv.put("total", "0", content_type="text/x-number", ttl=600)

    def add_one(entry: Entry | None) -> str:
        assert entry is not None
        return str(int(entry.text) + 1)

    await asyncio.gather(*(kv.update("total", add_one) for _ in range(8)))

    entry = await kv.get("total")
    assert (entry.text, entry.content_type) == ("8", "text/x-number")
    assert entry.ttl <= 600

    made = await kv.update("new", lambda entry: {"is_new": entry is None})
    assert (made.json(), (await kv.get("new")).etag) == ({"is_new": True}, made.etag)
    assert await kv.update("new", lambda entry: entry) == await kv.get("new")
    assert await kv.update("nothing", lambda _: None) is None

    with pytest.raises(ZeroDivisionError):
        await kv.update("new", lambda _: 1 // 0)


async def test_counters_are_exact(kv: Any) -> None:
    large = 2**63 - 2

    assert (await kv.increment("n", large)).value == large
    assert (await kv.increment("n")).value == large + 1
    assert (await kv.increment("n", -1, idempotency_key='o"n\\ce')).value == large
    assert (await kv.increment("n", -1, idempotency_key='o"n\\ce')).value == large
    assert (await kv.get_counter("n")).value == large
    assert (await kv.set_counter("n", 3, ttl=60)).previous == large
    with pytest.raises(CounterBound):
        await kv.increment("n", 5, maximum=7)
    clamped = await kv.increment("n", 5, maximum=7, on_bound="clamp")
    assert (clamped.value, clamped.applied_by) == (7, 4)
    assert await kv.delete_counter("n") is True
    assert await kv.delete_counter("n") is False
    with pytest.raises(CounterMissing):
        await kv.get_counter("n")
    with pytest.raises(Invalid):
        await kv.increment("n", 2**70)


async def test_listings_go_through_all_pages(kv: Any) -> None:
    batch = Batch()
    for number in range(25):
        batch.put(f"p/{number}*", str(number))
        batch.increment(f"c:{number}", number)
    batch.put("q", b"")
    await kv.run(batch)

    entries = await kv.all("entries", "p/", page_size=10)
    counters = await kv.all("counters", "c:", page_size=10)

    assert {each.key for each in entries} == {f"p/{number}*" for number in range(25)}
    assert {(each.name, each.value) for each in counters} == {(f"c:{n}", n) for n in range(25)}
    assert len(await kv.all("entries")) == 26
    read = await kv.all("entries", "p/", values=True, page_size=10)
    assert {(each.key, each.text) for each in read} == {(f"p/{n}*", str(n)) for n in range(25)}


async def test_a_deletion_by_prefix_goes_on_to_its_end(kv: Any) -> None:
    batch = Batch()
    for number in range(1_200):
        batch.put(f"p/{number}", b"")
    for name in ("p:1", "p:2", "q"):
        batch.increment(name)
    await kv.run(batch)

    assert (await kv.delete_prefix("p/"), await kv.delete_counters("p")) == (1_200, 2)

    assert await kv.all("entries") == []
    assert [each.name for each in await kv.all("counters")] == ["q"]
    for method in (kv.delete_prefix, kv.delete_counters):
        with pytest.raises(Invalid):
            await method("")


async def test_each_operation_of_a_batch_has_its_own_result(kv: Any) -> None:
    await kv.put("old", {"n": 1})
    batch = Batch()
    made = batch.put("new", b"\xff", ttl=60)
    refused = batch.put("old", "x", if_none_match="*")
    read = batch.get("old")
    missing = batch.get("none")
    stepped = batch.increment("n", 4)
    gone, never = batch.delete("old"), batch.delete("none")
    with pytest.raises(RuntimeError):
        made.result()

    await kv.run(batch)

    assert (await kv.get("new")).etag == made.result().etag
    assert read.result().json() == {"n": 1}
    assert stepped.result().value == 4
    assert (gone.result(), never.result()) == (True, False)
    for reply, kind in ((refused, PreconditionFailed), (missing, KeyMissing)):
        with pytest.raises(kind):
            reply.result()


async def test_a_batch_larger_than_a_request_is_sent_in_order_in_parts(served: Service) -> None:
    batch = Batch()
    for number in range(501):
        batch.put("same", str(number))
    large = [batch.put(f"large/{number}", b"x" * 1_000_000) for number in range(5)]

    async with open_client("awaiting", served.base) as kv:
        await kv.run(batch)

        assert (await kv.get("same")).text == "500"
        assert len({reply.result().etag for reply in large}) == 5
        # More than an answer to a batch holds.
        for number in range(5, 17):
            await kv.put(f"large/{number}", b"x" * 1_000_000)
        read = await kv.all("entries", "large/", values=True)
        assert [each.size for each in read] == 17 * [1_000_000]


@pytest.fixture(scope="module")
def blocking(shared_redis: RedisServer) -> Iterator[Client]:
    """A blocking client of a service in another process."""
    with (
        service_process(KV_STORE_URL=shared_redis.url) as service,
        Client(service.base, deadline=120, try_timeout=60) as client,
    ):
        yield client


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
def test_a_key_arrives_as_it_is_or_is_refused_before_it_is_sent(
    blocking: Client, text: str
) -> None:
    if expected_error(text) is None:
        assert blocking.put(text, b"v").key == text
        assert blocking.get(text).body == b"v"
    else:
        with pytest.raises(Invalid):
            blocking.get(text)
