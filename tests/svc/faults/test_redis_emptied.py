"""Somebody flushes Redis under load: its script cache, or all data."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import redis

from tests.support.answers import (
    Answer,
    ask,
    assert_problem,
    counter_value,
    get,
    increment,
    put,
    statuses,
    together,
)
from tests.support.every_verb import CHANGES, READS
from tests.support.redis_servers import RedisServer
from tests.support.services import Service


@asynccontextmanager
async def repeat_while_running(
    server: RedisServer, do: Callable[[redis.Redis], object]
) -> AsyncIterator[list[int]]:
    """Repeat the action until the block ends. Yield a list that grows each time."""
    over = asyncio.Event()
    done: list[int] = []

    async def repeat() -> None:
        with contextlib.closing(server.client()) as client:
            while not over.is_set():
                await asyncio.to_thread(do, client)
                done.append(len(done))

    async with asyncio.TaskGroup() as running:
        running.create_task(repeat())
        try:
            yield done
        finally:
            over.set()


async def every_verb(service: Service) -> list[Answer]:
    """Send one request of every kind in order: put before patch before delete."""
    return [await ask(service, v.method, v.path, **v.options) for v in (*CHANGES, *READS)]


async def test_a_script_cache_flushed_between_requests_is_not_noticed(
    served_on_either: Service, either_redis: RedisServer
) -> None:
    with contextlib.closing(either_redis.client()) as client:
        for verb in CHANGES:
            client.script_flush()

            answer = await ask(served_on_either, verb.method, verb.path, **verb.options)

            assert answer.status < 300, (verb, answer)


async def test_a_script_cache_flushed_under_load_loses_and_repeats_nothing(
    served_on_either: Service, either_redis: RedisServer
) -> None:
    service = served_on_either
    answers: list[Answer] = []
    rounds = 0
    async with repeat_while_running(either_redis, lambda client: client.script_flush()) as flushes:
        while rounds < 20 or len(flushes) < 50:
            answers += await together(
                *(put(service, f"k{i}", b"v") for i in range(20)),
                *(increment(service, "plain") for _ in range(20)),
                *(increment(service, "once", f"{rounds}-{i}") for i in range(20)),
            )
            rounds += 1

    assert statuses(answers) <= {200, 201}
    assert await counter_value(service, "plain") == rounds * 20
    assert await counter_value(service, "once") == rounds * 20


async def test_a_flush_of_everything_under_load_is_a_404_at_worst(
    patient: Service, redis_server: RedisServer
) -> None:
    answers: list[Answer] = []
    async with repeat_while_running(redis_server, lambda client: client.flushall()) as flushes:
        while len(answers) < 1000 or len(flushes) < 50:
            for some in await together(*(every_verb(patient) for _ in range(10))):
                answers += some

    assert max(statuses(answers)) < 500, [a for a in answers if a.status >= 500]
    # 409 and 412: another client or the flush deleted the entry between the read and the swap.
    assert statuses(answers) <= {200, 201, 204, 404, 409, 412}


async def test_after_a_flush_entries_and_counters_are_missing_and_start_anew(
    patient: Service, redis_server: RedisServer
) -> None:
    etag = (await put(patient, "k", b"v")).headers["ETag"]
    await increment(patient, "n")

    with contextlib.closing(redis_server.client()) as client:
        client.flushall()

    assert_problem(await get(patient, "k"), 404, "key_missing")
    assert_problem(await ask(patient, "GET", "/v1/counters/n"), 404, "counter_missing")
    assert (await increment(patient, "n")).json["value"] == 1
    remade = await put(patient, "k", b"v")
    assert remade.status == 201
    assert remade.headers["ETag"] != etag
