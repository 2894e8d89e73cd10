"""A slot of the cluster moves to another server while it is read and written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from svc.domain.model import CounterName, Key
from svc.stores.names import counter_name, entry_name
from tests.support.answers import (
    ask,
    assert_refused,
    counter_value,
    get,
    increment,
    put,
    statuses,
    together,
)
from tests.support.clusters import Migration, ask_node, slot_of_counter, slot_of_key
from tests.support.redis_servers import RedisCluster
from tests.support.services import Service


@pytest.fixture
def migration(own_cluster: RedisCluster) -> Iterator[Migration]:
    moving = Migration(own_cluster, slot_of_key("moving"))
    try:
        yield moving
    finally:
        moving.end()


def neighbours(slot: int) -> tuple[list[str], str]:
    """Find two more keys and a counter in the same slot."""
    keys = (f"key-{i}" for i in range(10**6))
    found = (key for key in keys if slot_of_key(key) == slot)
    counters = (f"counter-{i}" for i in range(10**6))
    return [next(found), next(found)], next(c for c in counters if slot_of_counter(c) == slot)


async def cache_scripts(service: Service) -> None:
    """Make every server cache every script that these tests use."""
    for i in range(30):
        assert (await put(service, f"n{i}", b"v")).status == 201
        assert (await increment(service, f"n{i}")).status == 200
        assert (await ask(service, "DELETE", f"/v1/kv/n{i}")).status == 204


async def test_every_request_for_a_moving_slot_succeeds_at_each_stage(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    (other, third), counter = neighbours(migration.slot)
    await cache_scripts(service)
    for key in ("moving", other):
        await put(service, key, b"before")
    steps = 0

    async def use() -> None:
        nonlocal steps
        steps += 1
        assert (await put(service, "moving", b"%d" % steps)).status == 200
        assert (await get(service, "moving")).body == b"%d" % steps
        assert (await increment(service, counter)).json["value"] == steps
        assert await counter_value(service, counter) == steps
        assert (await get(service, other)).body == b"before"
        assert (await put(service, third, b"fresh")).status == 201
        assert (await ask(service, "DELETE", f"/v1/kv/{third}")).status == 204
        assert (await get(service, third)).status == 404

    await use()
    await asyncio.to_thread(migration.begin)
    await use()
    await asyncio.to_thread(migration.move, entry_name(Key("moving")))
    await use()
    await asyncio.to_thread(migration.move, counter_name(CounterName(counter)))
    await use()
    await asyncio.to_thread(migration.end)
    await use()


async def test_a_server_that_receives_a_slot_need_not_know_the_scripts(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    _, counter = neighbours(migration.slot)
    await put(service, "moving", b"before")
    await increment(service, counter)
    await asyncio.to_thread(migration.begin)
    for name in migration.names():
        await asyncio.to_thread(migration.move, name)
    ask_node(migration.target, "SCRIPT", "FLUSH")

    written = await put(service, "moving", b"after")
    stepped = await increment(service, counter)

    assert (written.status, stepped.status) == (200, 200), (written, stepped)
    assert (await get(service, "moving")).body == b"after"
    assert await counter_value(service, counter) == 2


async def test_entries_read_together_are_all_found_though_only_some_have_moved(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    (other, third), _ = neighbours(migration.slot)
    await cache_scripts(service)
    keys = ["moving", other, third]
    for key in keys:
        await put(service, key, key.encode())
    await asyncio.to_thread(migration.begin)
    await asyncio.to_thread(migration.move, entry_name(Key("moving")))

    answers = await together(*(get(service, key) for key in keys * 5))

    assert statuses(answers) == {200}, answers
    assert [a.body for a in answers] == [key.encode() for key in keys * 5]


async def test_entries_written_together_are_all_written_though_only_some_have_moved(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    (other, third), _ = neighbours(migration.slot)
    await cache_scripts(service)
    keys = ["moving", other, third]
    for key in keys:
        await put(service, key, b"before")
    await asyncio.to_thread(migration.begin)
    await asyncio.to_thread(migration.move, entry_name(Key("moving")))

    answers = await together(*(put(service, key, b"after") for key in keys * 5))

    assert statuses(answers) == {200}, answers


async def test_a_recorded_step_is_refused_or_counts_and_in_the_end_counts_once(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    _, counter = neighbours(migration.slot)
    await increment(service, counter)
    await asyncio.to_thread(migration.begin)

    # The counter has moved and its record does not exist yet, so Redis can't choose a server.
    during = await increment(service, counter, "once")
    if during.status != 200:
        assert_refused(during)
    await asyncio.to_thread(migration.end)
    settled = await increment(service, counter, "once")

    assert (settled.status, settled.json["value"]) == (200, 2)
    assert await counter_value(service, counter) == 2


async def test_under_load_on_all_slots_a_migration_fails_nothing_and_loses_nothing(
    patient_on_cluster: Service, migration: Migration
) -> None:
    service = patient_on_cluster
    names = ["moving", *(f"n{i}" for i in range(30))]
    rounds = 0

    async def load() -> None:
        nonlocal rounds
        while not moved.done() or rounds < 5:
            answers = await together(
                *(put(service, name, b"%d" % rounds) for name in names),
                *(increment(service, name) for name in names),
            )
            assert statuses(answers) <= {200, 201}, [a for a in answers if a.status > 201]
            rounds += 1
            read = await together(*(get(service, name) for name in names))
            assert {a.body for a in read} == {b"%d" % (rounds - 1)}, read

    def move() -> None:
        for _ in range(3):
            migration.begin()
            migration.end()
            migration.source, migration.target = migration.target, migration.source

    await cache_scripts(service)
    await increment(service, "moving")
    moved = asyncio.ensure_future(asyncio.to_thread(move))
    await load()
    await moved

    values = await together(*(counter_value(service, name) for name in names))
    assert set(values) == {rounds + 1}
