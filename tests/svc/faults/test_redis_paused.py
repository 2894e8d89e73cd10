"""Redis is stopped (SIGSTOP): connections stay open, sends succeed, and no reply arrives."""

from __future__ import annotations

import asyncio

import pytest

from svc.api.context import LIFECYCLE
from tests.support.answers import (
    PROMPT_SECONDS,
    ask,
    ask_admin,
    assert_refused,
    assert_refused_or_unknown,
    get,
    increment,
    insist,
    put,
    statuses,
    store_all,
    together,
    warm,
)
from tests.support.every_verb import CHANGES, READS
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.waiting import eventually
from tests.svc.faults.conftest import HASTY_MS

pytestmark = pytest.mark.usefixtures("rarely_checked")

#: Longer than the service waits.
LONG_SECONDS = HASTY_MS / 1000 + 0.2


async def test_every_request_is_answered_in_time_and_tells_what_became_of_it(
    served: Service, redis_server: RedisServer
) -> None:
    await insist(lambda: put(served, "verb", b"before"))

    with redis_server.stopped():
        # First, while there is a connection: a new one carries no change before its first reply.
        changes = await together(*(ask(served, v.method, v.path, **v.options) for v in CHANGES))
        reads = await together(*(ask(served, v.method, v.path, **v.options) for v in READS))

    for answer in reads:
        assert_refused(answer)
    for answer in changes:
        assert_refused_or_unknown(answer)
    assert 504 in statuses(changes)
    assert max(a.seconds for a in (*reads, *changes)) < PROMPT_SECONDS


async def test_a_change_that_was_sent_is_unknown_and_the_next_ones_are_refused_in_time(
    served: Service, redis_server: RedisServer
) -> None:
    await insist(lambda: increment(served, "warm"))  # opens the connection
    with redis_server.stopped():
        stepped = await increment(served, "n")
        written = await put(served, "k", b"v")
        once = await increment(served, "n", "once")

    for answer in (stepped, written, once):
        assert_refused_or_unknown(answer)
        assert answer.seconds < PROMPT_SECONDS
    # No new connection answers, so the others were not sent at all.
    assert [a.status for a in (stepped, written, once)] == [504, 503, 503]


async def test_200_requests_at_once_are_answered_in_time(
    served: Service, redis_server: RedisServer
) -> None:
    await warm(served, 200)

    with redis_server.stopped():
        answers = await together(
            *(get(served, f"k{i}") for i in range(50)),
            *(put(served, f"k{i}", b"v") for i in range(50)),
            *(increment(served, "n") for _ in range(50)),
            *(increment(served, "n", f"op-{i}") for i in range(50)),
        )

    for answer in answers[:50]:
        assert_refused(answer)
    for answer in answers[50:]:
        assert_refused_or_unknown(answer)
    assert max(answer.seconds for answer in answers) < PROMPT_SECONDS


async def test_the_probes_stay_green_and_statusz_says_degraded(
    served: Service, redis_server: RedisServer
) -> None:
    served.app[LIFECYCLE].ready = True
    await eventually(lambda: _says(served, "ok"), what="the first ping")
    await warm(served, 200)

    with redis_server.stopped():
        flood = asyncio.gather(*(increment(served, "n") for _ in range(200)))
        live, ready, status = await together(
            *(ask_admin(served, path) for path in ("/livez", "/readyz", "/statusz"))
        )
        await flood

    assert (live.status, ready.status, status.status) == (200, 200, 200)
    assert max(live.seconds, ready.seconds, status.seconds) < PROMPT_SECONDS
    assert status.json["status"] == "degraded"
    assert status.json["store"]["answers"] is False


async def test_it_works_again_without_a_restart_and_unknown_steps_count_at_most_once(
    served: Service, redis_server: RedisServer
) -> None:
    await warm(served, 200)

    with redis_server.stopped():
        answers = await together(*(increment(served, "n") for _ in range(200)))

    unknown = sum(answer.status == 504 for answer in answers)
    assert statuses(answers) <= {503, 504}

    async def incremented() -> int:
        # After the increments that Redis still reads from abandoned connections.
        nonlocal unknown
        answer = await increment(served, "n")
        unknown += answer.status == 504
        return int(answer.json["value"]) if answer.status == 200 else 0

    value = await eventually(incremented, what="healing")
    assert 1 <= value <= unknown + 1
    await eventually(lambda: _says(served, "ok"), what="healing")


async def _says(service: Service, status: str) -> bool:
    return bool((await ask_admin(service, "/statusz")).json["status"] == status)


async def pause_repeatedly(server: RedisServer, over: asyncio.Event) -> None:
    """Stop and continue Redis, for times shorter and longer than the timeout."""
    stops = 0
    while not over.is_set():
        with server.stopped():
            await _passed(over, LONG_SECONDS if stops % 3 == 2 else 0.1)
        await _passed(over, 0.1)
        stops += 1


async def _passed(over: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return


async def test_no_read_gets_the_answer_of_another_while_redis_comes_and_goes(
    served: Service, redis_server: RedisServer
) -> None:
    await warm(served, 500)
    await store_all(served, {f"key-{i}": b"value-%d" % i for i in range(500)})
    over = asyncio.Event()
    flickering = asyncio.create_task(pause_repeatedly(redis_server, over))
    right = refused = 0
    try:
        while not (right > 3000 and refused > 800):
            answers = await together(*(get(served, f"key-{i}") for i in range(500)))
            for i, answer in enumerate(answers):
                if answer.status == 200:
                    assert answer.body == b"value-%d" % i
                    right += 1
                else:
                    assert_refused(answer)
                    refused += 1
                assert answer.seconds < PROMPT_SECONDS
    finally:
        over.set()
        await flickering


async def test_no_step_gets_the_answer_of_another_while_redis_comes_and_goes(
    served: Service, redis_server: RedisServer
) -> None:
    names = range(200)
    await warm(served, len(names))
    for i in names:
        body = {"value": i * 1_000_000}
        await insist(lambda i=i, body=body: ask(served, "PUT", f"/v1/counters/c{i}", json=body))  # type: ignore[misc]
    over = asyncio.Event()
    flickering = asyncio.create_task(pause_repeatedly(redis_server, over))
    least, most = [0] * len(names), [0] * len(names)
    failed = 0
    try:
        while not (min(least) > 3 and failed > 300):
            # Half of them share a round trip, half do not.
            answers = await together(
                *(increment(served, f"c{i}", f"{i}-{most[i]}" if i % 2 else None) for i in names)
            )
            for i, answer in enumerate(answers):
                if answer.status == 200:
                    least[i] += 1
                    most[i] += 1
                    assert least[i] <= answer.json["value"] - i * 1_000_000 <= most[i]
                else:
                    assert_refused_or_unknown(answer)
                    most[i] += answer.status == 504
                    failed += 1
    finally:
        over.set()
        await flickering

    await eventually(lambda: _answers(served), what="healing")
    for i in names:
        answer = await insist(lambda i=i: ask(served, "GET", f"/v1/counters/c{i}"))  # type: ignore[misc]
        assert least[i] <= answer.json["value"] - i * 1_000_000 <= most[i]


async def _answers(service: Service) -> bool:
    return (await get(service, "key-0")).status in {200, 404}
