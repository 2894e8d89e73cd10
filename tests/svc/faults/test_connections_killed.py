"""An operator, a proxy or an idle timeout closes the service's connections under load."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.answers import (
    Answer,
    ask,
    assert_refused_or_unknown,
    counter_value,
    get,
    increment,
    put,
    statuses,
    store_all,
    together,
)
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.waiting import eventually


def kill_connections(server: RedisServer) -> int:
    with contextlib.closing(server.client()) as client:
        return int(client.client_kill_filter(_type="normal", skipme=True))


@asynccontextmanager
async def connections_killed(server: RedisServer) -> AsyncIterator[list[int]]:
    """Kill all connections every few ms. Yield a list of how many were killed each time."""
    over = asyncio.Event()
    killed: list[int] = []

    async def repeat() -> None:
        while not over.is_set():
            killed.append(await asyncio.to_thread(kill_connections, server))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.03)

    async with asyncio.TaskGroup() as running:
        running.create_task(repeat())
        try:
            yield killed
        finally:
            over.set()


async def test_reads_go_on_as_if_nothing_happened(
    patient: Service, redis_server: RedisServer
) -> None:
    await store_all(patient, {f"k{i}": b"value-%d" % i for i in range(50)})
    await ask(patient, "PUT", "/v1/counters/n", json={"value": 7})

    killed = 0
    while killed < 30:
        # Killed once while they are read: a read is repeated once.
        entries, values, some = await together(
            together(*(get(patient, f"k{i}") for i in range(50))),
            together(*(counter_value(patient, "n") for _ in range(10))),
            asyncio.to_thread(kill_connections, redis_server),
        )
        killed += some
        assert [a.body for a in entries] == [b"value-%d" % i for i in range(50)]
        assert set(values) == {7}


async def test_writes_succeed_or_are_unknown_and_none_is_lost_or_doubled(
    patient: Service, redis_server: RedisServer
) -> None:
    steps: list[Answer] = []
    recorded = 0
    async with connections_killed(redis_server) as killed:
        while sum(killed) < 30 or len(steps) < 1000:
            written, stepped, once = (
                await together(*(put(patient, f"k{i}", b"v") for i in range(20))),
                await together(*(increment(patient, "plain") for _ in range(50))),
                await together(*(settled(patient, f"{recorded}-{i}") for i in range(20))),
            )
            steps += stepped
            recorded += len(once)
            for answer in (*written, *stepped):
                if answer.status not in {200, 201}:
                    # Killed before its check, a connection has sent nothing.
                    assert_refused_or_unknown(answer)

    acknowledged = [a.json["value"] for a in steps if a.status == 200]
    unknown = sum(a.status == 504 for a in steps)
    assert len(set(acknowledged)) == len(acknowledged)
    value = await counter_value(patient, "plain")
    assert len(acknowledged) <= value <= len(acknowledged) + unknown
    assert await counter_value(patient, "once") == recorded


async def settled(service: Service, operation: str) -> Answer:
    """Repeat the increment with its idempotency key until it is acknowledged."""

    async def attempt() -> Answer | None:
        answer = await increment(service, "once", operation)
        if answer.status == 200:
            return answer
        assert_refused_or_unknown(answer)
        return None

    answer: Answer = await eventually(attempt)
    return answer


async def test_idle_connections_that_redis_closed_are_noticed_before_they_are_used(
    patient: Service, redis_server: RedisServer
) -> None:
    await together(*(increment(patient, f"c{i}", "warm") for i in range(30)))
    with contextlib.closing(redis_server.client()) as client:
        for number in range(20):
            assert client.client_kill_filter(_type="normal", skipme=True)
            await get(patient, "breathe")  # one turn of the loop, to notice closed connections

            answers = await together(
                *(increment(patient, f"c{i}", f"{number}") for i in range(30)),
                *(put(patient, f"k{i}", b"v") for i in range(30)),
            )

            assert statuses(answers) <= {200, 201}
