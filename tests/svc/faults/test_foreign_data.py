"""Redis has data under the service's names that this release did not write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from svc.domain.model import CounterName, Key
from svc.stores.names import counter_name, entry_name
from tests.support.answers import (
    ask,
    assert_problem,
    batch,
    counter_value,
    get,
    increment,
    put,
)
from tests.support.every_verb import MERGE
from tests.support.redis_servers import RedisServer
from tests.support.services import Service

ENTRY = entry_name(Key("foreign"))
COUNTER = counter_name(CounterName("foreign"))


@pytest.fixture
def direct_client(either_redis: RedisServer) -> Iterator[redis.Redis]:
    """A client that writes to Redis directly."""
    with contextlib.closing(either_redis.client()) as client:
        yield client


async def test_a_list_under_an_entrys_name_reads_as_no_entry(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.lpush(ENTRY, "someone's")

    assert_problem(await get(served_on_either, "foreign"), 404, "key_missing")


async def test_a_list_under_an_entrys_name_can_not_be_patched(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.lpush(ENTRY, "someone's")

    answer = await ask(served_on_either, "PATCH", "/v1/kv/foreign", data=b'{"n":2}', headers=MERGE)

    assert_problem(answer, 404, "key_missing")


@pytest.mark.parametrize("headers", [{"If-Match": "*"}, {"Idempotency-Key": "once"}], ids=str)
async def test_a_conditional_or_recorded_change_of_a_list_is_store_corrupt_and_leaves_it(
    served_on_either: Service, direct_client: redis.Redis, headers: dict[str, str]
) -> None:
    direct_client.lpush(ENTRY, "someone's")

    for method in ("PUT", "DELETE"):
        answer = await ask(served_on_either, method, "/v1/kv/foreign", headers=headers, data=b"v")

        assert_problem(answer, 500, "store_corrupt")
    assert direct_client.lrange(ENTRY, 0, -1) == [b"someone's"]


async def test_a_list_under_a_counters_name_is_store_corrupt_for_every_verb_that_needs_its_value(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.lpush(COUNTER, "someone's")
    path = "/v1/counters/foreign"

    for method, rest, options in (
        ("GET", "", {}),
        ("POST", "/increments", {}),
        ("POST", "/increments", {"json": {"max": 9}}),
        ("POST", "/increments", {"headers": {"Idempotency-Key": "once"}}),
        ("PUT", "", {"json": {"value": 1}}),
    ):
        answer = await ask(served_on_either, method, path + rest, **options)

        assert_problem(answer, 500, "store_corrupt")
    assert direct_client.lrange(COUNTER, 0, -1) == [b"someone's"]


async def test_text_under_a_counters_name_is_store_corrupt(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.set(COUNTER, "not a number")

    assert_problem(await ask(served_on_either, "GET", "/v1/counters/foreign"), 500, "store_corrupt")
    assert_problem(await increment(served_on_either, "foreign"), 500, "store_corrupt")
    answer = await increment(served_on_either, "foreign", "once")
    assert_problem(answer, 500, "store_corrupt")


FOREIGN_INTEGERS = (b"1_000", b" 5 ", b"+5", b"05", b"-0", b"1" * 20, b"9223372036854775808")


@pytest.mark.parametrize("raw", FOREIGN_INTEGERS, ids=bytes.decode)
async def test_what_incrby_does_not_read_as_an_integer_is_store_corrupt_for_every_verb(
    served_on_either: Service, direct_client: redis.Redis, raw: bytes
) -> None:
    direct_client.set(COUNTER, raw)
    path = "/v1/counters/foreign"

    for method, rest, options in (
        ("GET", "", {}),
        ("POST", "/increments", {}),
        ("POST", "/increments", {"json": {"max": 9}}),
        ("POST", "/increments", {"headers": {"Idempotency-Key": "once"}}),
        ("POST", "/increments", {"headers": {"If-Match": '"1"'}}),
        ("PUT", "", {"json": {"value": 1}}),
        ("PUT", "", {"json": {"value": 1}, "headers": {"If-Match": '"1"'}}),
        ("DELETE", "", {"headers": {"If-Match": '"1"'}}),
    ):
        answer = await ask(served_on_either, method, path + rest, **options)

        assert_problem(answer, 500, "store_corrupt")
    assert direct_client.get(COUNTER) == raw
    assert (await ask(served_on_either, "GET", "/v1/counters")).json["items"] == []


@pytest.mark.parametrize("raw", [b"9223372036854775807", b"-9223372036854775808", b"-1", b"0"])
async def test_every_64_bit_integer_is_a_counter_whoever_wrote_it(
    served_on_either: Service, direct_client: redis.Redis, raw: bytes
) -> None:
    direct_client.set(COUNTER, raw)

    read = await ask(served_on_either, "GET", "/v1/counters/foreign")
    replaced = await ask(served_on_either, "PUT", "/v1/counters/foreign", json={"value": 1})

    assert read.json["value"] == int(raw)
    assert replaced.status == 200


async def test_a_foreign_counter_hides_no_other_of_the_same_batch(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.lpush(COUNTER, "someone's")

    results = await batch(
        served_on_either,
        {"op": "add", "counter": "a"},
        {"op": "add", "counter": "foreign"},
        {"op": "add", "counter": "b"},
    )

    assert [r["status"] for r in results] == [200, 500, 200]
    assert results[1]["code"] == "store_corrupt"
    assert await counter_value(served_on_either, "b") == 1


@pytest.mark.parametrize("head", [b"\2", b"\2later and longer than any header of ours" * 2])
async def test_an_entry_in_a_later_format_is_store_corrupt_and_names_the_format(
    served_on_either: Service, direct_client: redis.Redis, head: bytes
) -> None:
    direct_client.set(ENTRY, head)

    answer = await get(served_on_either, "foreign")

    assert_problem(answer, 500, "store_corrupt")
    assert "format 2" in answer.json["detail"]
    (result,) = await batch(served_on_either, {"op": "get", "key": "foreign"})
    assert (result["status"], result["code"]) == (500, "store_corrupt")
    patch = await ask(served_on_either, "PATCH", "/v1/kv/foreign", data=b"{}", headers=MERGE)
    assert_problem(patch, 500, "store_corrupt")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("query", ["", "?ttl=keep"])
@pytest.mark.parametrize(
    "more",
    [
        *({}, {"If-Match": "*"}, {"If-Match": f'"{"02" * 16}"'}, {"If-None-Match": '"x"'}),
        {"Idempotency-Key": "once"},
    ],
    ids=str,
)
async def test_no_change_touches_an_entry_in_a_later_format(
    served_on_either: Service,
    direct_client: redis.Redis,
    method: str,
    query: str,
    more: dict[str, str],
) -> None:
    later = b"\2" * 60
    direct_client.set(ENTRY, later)
    query = query if method == "PUT" else ""
    headers = {**(MERGE if method == "PATCH" else {}), **more}

    answer = await ask(
        served_on_either, method, f"/v1/kv/foreign{query}", data=b"{}", headers=headers
    )

    assert_problem(answer, 500, "store_corrupt")
    assert "format 2" in answer.json["detail"]
    assert direct_client.get(ENTRY) == later


async def test_an_entry_in_a_later_format_hides_no_neighbour_in_the_same_round_trip(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    direct_client.set(ENTRY, b"\2")

    results = await batch(
        served_on_either,
        {"op": "put", "key": "foreign", "value": 1},
        {"op": "put", "key": "ours", "value": 1},
    )

    assert [r["status"] for r in results] == [500, 201]
    assert direct_client.get(ENTRY) == b"\2"


async def test_an_operation_record_in_a_later_format_is_not_taken_for_one_of_ours(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    headers = {"Idempotency-Key": "once"}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/v1/kv/k", {"data": b"v"}),
        ("PATCH", "/v1/kv/k", {"data": b"{}"}),
        ("DELETE", "/v1/kv/k", {}),
        ("POST", "/v1/kv/k/", {"data": b"v"}),
        ("POST", "/v1/counters/n/increments", {}),
        ("PUT", "/v1/counters/n", {"json": {"value": 1}}),
        ("DELETE", "/v1/counters/n", {}),
    ]
    for method, path, options in changes:
        more = MERGE if method == "PATCH" else {}
        direct_client.flushall()
        await ask(served_on_either, method, path, headers={**headers, **more}, **options)
        for record in direct_client.scan_iter("op:*"):
            direct_client.setrange(record, 0, b"\2")

        answer = await ask(served_on_either, method, path, headers={**headers, **more}, **options)

        assert_problem(answer, 500, "store_corrupt")
        assert "format 2" in answer.json["detail"]


@pytest.mark.parametrize("raw", [b"", b"\0", b"\1", b"\1" * 38, b"\1" * 39, b"\1" * 400])
async def test_a_damaged_entry_is_store_corrupt(
    served_on_either: Service, direct_client: redis.Redis, raw: bytes
) -> None:
    direct_client.set(ENTRY, raw)

    assert_problem(await get(served_on_either, "foreign"), 500, "store_corrupt")


async def test_reading_what_is_foreign_hides_no_neighbour_in_the_same_round_trip(
    served_on_either: Service, direct_client: redis.Redis
) -> None:
    await put(served_on_either, "ours", b"v")
    direct_client.set(ENTRY, b"\2")

    results = await batch(
        served_on_either, {"op": "get", "key": "foreign"}, {"op": "get", "key": "ours"}
    )

    assert [r["status"] for r in results] == [500, 200]


def _foreign_entries(direct_client: redis.Redis) -> None:
    direct_client.lpush(ENTRY, "someone's")


def _foreign_name(direct_client: redis.Redis) -> None:
    direct_client.set(ENTRY.replace(b"foreign", b"\xff\xfe"), b"\1" * 60)


def _later_format(direct_client: redis.Redis) -> None:
    direct_client.set(ENTRY, b"\2" * 60)


@pytest.mark.parametrize("spoil", [_foreign_entries, _foreign_name, _later_format])
async def test_one_foreign_value_does_not_take_the_listing_of_entries_down(
    served_on_either: Service, direct_client: redis.Redis, spoil: object
) -> None:
    await put(served_on_either, "ours", b"v")
    assert callable(spoil)
    spoil(direct_client)

    answer = await ask(served_on_either, "GET", "/v1/kv")

    assert answer.status == 200, answer
    assert [item["key"] for item in answer.json["items"]] == ["ours"]


@pytest.mark.parametrize("kind", ["list", "text"])
async def test_one_foreign_value_does_not_take_the_listing_of_counters_down(
    served_on_either: Service, direct_client: redis.Redis, kind: str
) -> None:
    await increment(served_on_either, "ours")
    if kind == "list":
        direct_client.lpush(COUNTER, "someone's")
    else:
        direct_client.set(COUNTER, "not a number")

    answer = await ask(served_on_either, "GET", "/v1/counters")

    assert answer.status == 200, answer
    assert [item["name"] for item in answer.json["items"]] == ["ours"]
