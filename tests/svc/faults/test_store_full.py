"""Redis has reached maxmemory: 507, nothing applied, and existing data can still be read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.answers import (
    ask,
    assert_problem,
    batch,
    counter_value,
    get,
    increment,
    put,
    statuses,
    together,
)
from tests.support.every_verb import CHANGES, Verb
from tests.support.redis_servers import RedisServer
from tests.support.services import Service

GROWING = [verb for verb in CHANGES if verb.method != "DELETE"]

#: Sets maxmemory below the used memory, or removes it.
Fill = Callable[[bool], None]


@pytest.fixture
def fill(either_redis: RedisServer) -> Iterator[Fill]:
    with contextlib.closing(either_redis.client()) as client:

        def set_limit(full: bool) -> None:
            client.config_set("maxmemory", "1" if full else "0")

        yield set_limit


@pytest.mark.parametrize("verb", GROWING, ids=str)
async def test_a_change_is_refused_with_507_and_changes_nothing(
    served_on_either: Service, fill: Fill, verb: Verb
) -> None:
    service = served_on_either
    before = await ask(service, "PUT", "/v1/kv/verb", json={"n": 0})
    await ask(service, "PUT", "/v1/counters/verb", json={"value": 5})
    fill(True)

    answer = await ask(service, verb.method, verb.path, **verb.options)

    assert_problem(answer, 507, "store_full")
    entry = await get(service, "verb")
    assert entry.headers["ETag"] == before.headers["ETag"]
    assert entry.body == b'{"n": 0}'
    assert await counter_value(service, "verb") == 5
    fill(False)
    after = await ask(service, verb.method, verb.path, **verb.options)
    assert after.status in {200, 201}
    assert "Idempotency-Replayed" not in after.headers


async def test_each_operation_of_a_batch_is_refused_and_its_reads_are_not(
    served_on_either: Service, fill: Fill
) -> None:
    service = served_on_either
    before = await put(service, "k", b"v")
    fill(True)

    results = await batch(
        service,
        {"op": "put", "key": "k", "value": 1},
        {"op": "put", "key": "new", "value": 1},
        {"op": "put", "key": "other", "value": 1, "if_match": "*"},
        {"op": "put", "key": "stays", "value": 1, "ttl": "keep"},
        {"op": "add", "counter": "n"},
        {"op": "add", "counter": "m", "idempotency_key": "once"},
        {"op": "get", "key": "k"},
    )

    assert [r["status"] for r in results] == [507, 507, 412, 507, 507, 507, 200]
    assert {r["applied"] for r in results[:6]} == {"no"}
    assert results[6]["etag"] == before.headers["ETag"]


async def test_many_at_once_are_all_refused_and_none_is_applied(
    served_on_either: Service, fill: Fill
) -> None:
    service = served_on_either
    await increment(service, "n")
    fill(True)

    answers = await together(
        *(put(service, f"k{i}", b"v") for i in range(50)),
        *(increment(service, "n") for _ in range(50)),
    )

    assert statuses(answers) == {507}
    assert statuses(await together(*(get(service, f"k{i}") for i in range(50)))) == {404}
    assert await counter_value(service, "n") == 1


async def test_deleting_still_works_and_makes_room(served_on_either: Service, fill: Fill) -> None:
    service = served_on_either
    await put(service, "k", b"v")
    await increment(service, "n")
    fill(True)

    assert (await ask(service, "DELETE", "/v1/kv/k")).status == 204
    assert (await ask(service, "DELETE", "/v1/counters/n")).status == 204
    assert (await get(service, "k")).status == 404


async def test_a_fresh_counter_refused_for_its_bound_or_for_want_of_room_stays_missing(
    served_on_either: Service, fill: Fill
) -> None:
    service = served_on_either
    fill(True)

    answer = await ask(
        service, "POST", "/v1/counters/new/increments", json={"by": 5, "max": 3, "ttl": 60}
    )

    assert answer.status in {409, 507}
    fill(False)
    assert (await ask(service, "GET", "/v1/counters/new")).status == 404
