"""Redis refuses connections, at the start of the service or later."""

from __future__ import annotations

import asyncio
from pathlib import Path

from svc.api.context import LIFECYCLE
from svc.settings import Settings
from tests.support.answers import (
    PROMPT_SECONDS,
    ask,
    ask_admin,
    assert_refused,
    batch,
    get,
    increment,
    insist,
    put,
    together,
    warm,
)
from tests.support.every_verb import CHANGES, READS
from tests.support.ports import closed_port
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

NOWHERE = f"redis://127.0.0.1:{closed_port()}"


async def test_every_request_is_refused_at_once_with_a_time_to_come_again() -> None:
    async with running_service(Settings(store_url=NOWHERE)) as service:
        for verb in (*READS, *CHANGES):
            answer = await ask(service, verb.method, verb.path, **verb.options)

            assert_refused(answer)
            assert answer.seconds < PROMPT_SECONDS, verb


async def test_each_operation_of_a_batch_is_refused_by_itself() -> None:
    async with running_service(Settings(store_url=NOWHERE)) as service:
        results = await batch(
            service,
            {"op": "get", "key": "a"},
            {"op": "put", "key": "b", "value": 1},
            {"op": "put", "key": "c", "value": 1, "if_match": "*"},
            {"op": "delete", "key": "d"},
            {"op": "add", "counter": "e"},
            {"op": "add", "counter": "f", "idempotency_key": "once"},
            {"op": "get", "key": ".."},
        )

    assert [r["status"] for r in results] == [503] * 6 + [400]
    assert {r["applied"] for r in results} == {"no"}
    assert {r["code"] for r in results[:6]} == {"store_unavailable"}


async def test_the_probes_stay_green_and_statusz_says_degraded() -> None:
    async with running_service(Settings(store_url=NOWHERE)) as service:
        service.app[LIFECYCLE].ready = True

        assert (await ask_admin(service, "/livez")).status == 200
        assert (await ask_admin(service, "/readyz")).status == 200
        status = await ask_admin(service, "/statusz")

    assert status.status == 200
    assert status.json["status"] == "degraded"
    assert status.json["store"]["answers"] is False
    assert status.json["store"]["error"] == "store_unavailable"


async def test_a_service_started_before_its_redis_heals_by_itself(
    redis_binary: str, tmp_path: Path
) -> None:
    server = RedisServer(redis_binary, tmp_path / "redis")
    async with running_service(Settings(store_url=server.url)) as service:
        assert_refused(await put(service, "greeting", b"hi"))
        try:
            await asyncio.to_thread(server.start)

            assert (await put(service, "greeting", b"hi")).status == 201
            assert (await get(service, "greeting")).body == b"hi"
        finally:
            server.stop()


async def test_a_flood_on_a_redis_that_is_down_is_refused_at_once() -> None:
    async with running_service(Settings(store_url=NOWHERE)) as service:
        await warm(service, 300)
        answers = await together(
            *(get(service, f"k{i}") for i in range(100)),
            *(put(service, f"k{i}", b"v") for i in range(100)),
            *(increment(service, f"c{i}") for i in range(100)),
        )

    for answer in answers:
        assert_refused(answer)
    assert max(answer.seconds for answer in answers) < PROMPT_SECONDS


async def test_what_was_refused_while_redis_was_down_is_not_applied_once_it_is_back(
    served: Service, redis_server: RedisServer
) -> None:
    await insist(lambda: increment(served, "n"))
    redis_server.stop()

    # The first requests may have used a connection that Redis had already closed.
    await together(*(increment(served, "n") for _ in range(10)))
    refused = await together(*(increment(served, "n") for _ in range(50)))

    for answer in refused:
        assert_refused(answer)
    await asyncio.to_thread(redis_server.start)  # Redis kept no data

    async def missing() -> bool:
        answer = await ask(served, "GET", "/v1/counters/n")
        if answer.status != 404:
            assert_refused(answer)
        return answer.status == 404

    await eventually(missing, what="healing")
