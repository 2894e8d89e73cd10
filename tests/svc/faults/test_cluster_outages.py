"""A server of the cluster dies or hangs: the slots of the others keep being served."""

from __future__ import annotations

import asyncio
from pathlib import Path

from svc.settings import Settings
from tests.support.answers import (
    PROMPT_SECONDS,
    ask_admin,
    assert_refused,
    assert_refused_or_unknown,
    batch,
    get,
    increment,
    put,
    statuses,
    together,
)
from tests.support.clusters import (
    ask_node,
    hanging,
    names_on,
    port_of_owner,
    running_replica,
    slot_of_key,
)
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

NAMES = [f"n{i}" for i in range(40)]


async def fill(service: Service) -> None:
    await together(
        *(put(service, name, name.encode()) for name in NAMES),
        *(increment(service, name) for name in NAMES),
    )


async def test_a_killed_primary_fails_its_own_slots_only_until_it_is_back(
    served_on_cluster: Service, own_cluster: RedisCluster, victim: RedisServer
) -> None:
    service = served_on_cluster
    lost_keys, lost_counters = names_on(own_cluster, victim, NAMES)
    await fill(service)
    victim.stop()

    for _ in range(5):
        read, written, stepped = (
            await together(*(get(service, n) for n in NAMES)),
            await together(*(put(service, n, n.encode()) for n in NAMES)),
            await together(*(increment(service, n) for n in NAMES)),
        )
        for name, r, w, s in zip(NAMES, read, written, stepped, strict=True):
            if name in lost_keys:
                assert_refused(r)
                assert_refused_or_unknown(w)
            else:
                assert (r.status, r.body, w.status) == (200, name.encode(), 200), (r, w)
            if name in lost_counters:
                assert_refused_or_unknown(s)
            else:
                assert s.status == 200, s

    results = await batch(service, *({"op": "get", "key": n} for n in NAMES))
    assert [r["status"] for r in results] == [503 if n in lost_keys else 200 for n in NAMES]
    results = await batch(service, *({"op": "put", "key": n, "value": 1} for n in NAMES))
    assert [r["status"] for r in results] == [503 if n in lost_keys else 200 for n in NAMES]

    await asyncio.to_thread(victim.start)
    await eventually(lambda: _all_written(service), what="healing")


async def _all_written(service: Service) -> bool:
    answers = await together(*(put(service, n, n.encode()) for n in NAMES))
    return statuses(answers) <= {200, 201}


async def test_a_hanging_primary_fails_its_own_slots_only(
    served_on_cluster: Service, own_cluster: RedisCluster, victim: RedisServer
) -> None:
    service = served_on_cluster
    lost_keys, lost_counters = names_on(own_cluster, victim, NAMES)
    await fill(service)

    async with hanging(victim):
        for _ in range(2):
            read, stepped = await together(
                together(*(get(service, n) for n in NAMES)),
                together(*(increment(service, n) for n in NAMES)),
            )
            for name, r, s in zip(NAMES, read, stepped, strict=True):
                assert max(r.seconds, s.seconds) < PROMPT_SECONDS
                if name in lost_keys:
                    assert_refused(r)
                else:
                    assert (r.status, r.body) == (200, name.encode()), r
                if name in lost_counters:
                    assert_refused_or_unknown(s)
                else:
                    assert s.status == 200, s


async def test_while_a_primary_hangs_the_others_answer_a_steady_load(
    served_on_cluster: Service, own_cluster: RedisCluster, victim: RedisServer
) -> None:
    """Clients that keep reading from the hanging server delay no other client."""
    service = served_on_cluster
    lost_keys, _ = names_on(own_cluster, victim, NAMES)
    well = [n for n in NAMES if n not in lost_keys]
    await fill(service)
    over = asyncio.Event()

    async def read_repeatedly(name: str) -> None:
        while not over.is_set():
            assert_refused(await get(service, name))

    async with hanging(victim), asyncio.TaskGroup() as insisting:
        for name in lost_keys:
            insisting.create_task(read_repeatedly(name))
        try:
            for _ in range(4):
                for some in await together(*(get(service, name) for name in well)):
                    assert some.status == 200, some
        finally:
            over.set()


async def test_a_service_started_while_its_first_seed_hangs_asks_the_next_one(
    own_cluster: RedisCluster, victim: RedisServer
) -> None:
    lost_keys, _ = names_on(own_cluster, victim, NAMES)
    well = next(n for n in NAMES if n not in lost_keys)

    async with hanging(victim), running_service(Settings(store_url=own_cluster.url)) as service:
        await eventually(lambda: _succeeds(service, well), what="the next seed")


async def _succeeds(service: Service, key: str) -> bool:
    answer = await put(service, key, b"v")
    if answer.status not in {200, 201}:
        assert_refused_or_unknown(answer)
    return answer.status in {200, 201}


async def test_statusz_answers_in_time_whatever_hangs(
    served_on_cluster: Service, victim: RedisServer
) -> None:
    async with hanging(victim):
        status = await ask_admin(served_on_cluster, "/statusz")

    assert status.status == 200
    assert status.seconds < PROMPT_SECONDS


async def test_a_promoted_replica_is_found_though_the_old_primary_hangs(
    served_on_cluster: Service,
    own_cluster: RedisCluster,
    victim: RedisServer,
    tmp_path: Path,
) -> None:
    service = served_on_cluster
    lost_keys, _ = names_on(own_cluster, victim, NAMES)
    await fill(service)
    async with (
        running_replica(own_cluster, victim, tmp_path / "replica") as replica,
        hanging(victim),
    ):
        ask_node(replica, "CLUSTER", "FAILOVER", "TAKEOVER")
        slot, witness = slot_of_key(lost_keys[0]), own_cluster.servers[1]
        await eventually(lambda: port_of_owner(witness, slot) == replica.port, what="the promotion")
        await eventually(lambda: _succeeds(service, lost_keys[0]), what="the new primary")
