"""Redis is killed under load and restarted on the same append-only file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from svc.settings import Settings
from tests.support.answers import (
    assert_refused,
    assert_refused_or_unknown,
    counter_value,
    get,
    increment,
    put,
)
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

CLIENTS = 50
KILLS = 3


@pytest.fixture
def durable_redis(redis_binary: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that fsyncs before it acknowledges."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    with running_redis(redis_binary, tmp_path / "redis", *durable) as server:
        yield server


@pytest.fixture
async def service(durable_redis: RedisServer) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=durable_redis.url)) as service:
        yield service


class Outcomes:
    def __init__(self) -> None:
        self.values: list[int] = []
        self.unknown = 0
        self.refused = 0


@asynccontextmanager
async def clients(client: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    """Run CLIENTS clients until the block ends, then stop them."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as running:
        for _ in range(CLIENTS):
            running.create_task(_run(client, over))
        try:
            yield
        finally:
            over.set()


async def _run(client: Callable[[asyncio.Event], Awaitable[None]], over: asyncio.Event) -> None:
    await client(over)


async def kill_and_start_again(server: RedisServer) -> None:
    server.stop()
    await asyncio.to_thread(server.start)


async def test_the_final_value_lies_between_the_acknowledged_and_the_unknown_steps(
    service: Service, durable_redis: RedisServer
) -> None:
    tally = Outcomes()

    async def step(over: asyncio.Event) -> None:
        while not over.is_set():
            answer = await increment(service, "n")
            if answer.status == 200:
                tally.values.append(answer.json["value"])
                continue
            assert_refused_or_unknown(answer)
            tally.unknown += answer.status == 504
            tally.refused += answer.status == 503

    async with clients(step):
        for kill in range(1, KILLS + 1):
            await eventually(lambda kill=kill: len(tally.values) > kill * 500)  # type: ignore[misc]
            await kill_and_start_again(durable_redis)
        done = len(tally.values)
        await eventually(lambda: len(tally.values) > done + 500, what="healing")

    acknowledged = len(tally.values)
    assert tally.unknown + tally.refused > 0
    assert len(set(tally.values)) == acknowledged
    assert acknowledged <= await counter_value(service, "n") <= acknowledged + tally.unknown


async def test_retries_under_the_same_idempotency_key_count_exactly_once(
    service: Service, durable_redis: RedisServer
) -> None:
    operations = itertools.count()
    settled: list[int] = []
    retries = 0

    async def step(over: asyncio.Event) -> None:
        nonlocal retries
        while not over.is_set():
            operation = f"op-{next(operations)}"
            while (answer := await increment(service, "n", operation)).status != 200:
                assert_refused_or_unknown(answer)
                retries += 1
            settled.append(answer.json["value"])

    async with clients(step):
        for kill in range(1, KILLS + 1):
            await eventually(lambda kill=kill: len(settled) > kill * 300)  # type: ignore[misc]
            await kill_and_start_again(durable_redis)

    assert retries > 0
    assert sorted(settled) == list(range(1, next(operations) + 1))
    assert await counter_value(service, "n") == len(settled)


async def test_an_acknowledged_entry_outlives_the_kill(
    service: Service, durable_redis: RedisServer
) -> None:
    numbers = itertools.count()
    acknowledged: list[int] = []

    async def write(over: asyncio.Event) -> None:
        while not over.is_set():
            number = next(numbers)
            answer = await put(service, f"k{number}", b"value-%d" % number)
            if answer.status == 201:
                acknowledged.append(number)
            else:
                assert_refused_or_unknown(answer)

    async with clients(write):
        await eventually(lambda: len(acknowledged) > 500)
        await kill_and_start_again(durable_redis)
        done = len(acknowledged)
        await eventually(lambda: len(acknowledged) > done + 100, what="healing")

    for number in acknowledged:
        assert (await get(service, f"k{number}")).body == b"value-%d" % number


async def test_reads_are_refused_while_it_is_gone_and_right_when_it_is_back(
    service: Service, durable_redis: RedisServer
) -> None:
    for i in range(CLIENTS):
        await put(service, f"k{i}", b"value-%d" % i)
    numbers = itertools.count()
    right = refused = 0

    async def read(over: asyncio.Event) -> None:
        nonlocal right, refused
        while not over.is_set():
            number = next(numbers) % CLIENTS
            answer = await get(service, f"k{number}")
            if answer.status == 200:
                assert answer.body == b"value-%d" % number
                right += 1
            else:
                assert_refused(answer)
                refused += 1

    async with clients(read):
        await eventually(lambda: right > 500)
        durable_redis.stop()
        await eventually(lambda: refused > 100, what="the refusals")
        await asyncio.to_thread(durable_redis.start)
        done = right
        await eventually(lambda: right > done + 500, what="healing")
