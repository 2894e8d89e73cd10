"""Round trips to Redis: their number, errors, batch sizes, and waits for a connection."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any, Final

import pytest

from svc.stores.node_link import MAX_CONNECTIONS
from tests.conftest import need_redis_7
from tests.support.answers import ask, increment, put, together, warm
from tests.support.every_verb import CHANGES, READS
from tests.support.instrumented_service import Scrape, Serve, scrape
from tests.support.ports import closed_port, free_port
from tests.support.redis_servers import RedisServer, running_cluster
from tests.support.services import Service
from tests.support.tcp_proxy import running_proxy
from tests.support.waiting import eventually

TRIP: Final = "db_client_operation_duration_seconds"
NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"
RECORDED: Final = {"headers": {"Idempotency-Key": "once"}}


def round_trips(shown: Scrape) -> dict[tuple[str, ...], float]:
    """Return the number of round trips by command and error."""
    return shown.counts(f"{TRIP}_count")


async def test_a_round_trip_is_counted_by_its_command(observed: Serve) -> None:
    async with observed() as service:
        await ask(service, "GET", "/v1/kv/trips")
        await ask(service, "GET", "/v1/counters/trips")
        await put(service, "trips", b"v")
        await ask(service, "PUT", "/v1/kv/trips", data=b"v", **RECORDED)
        await increment(service, "trips")
        await ask(service, "GET", "/v1/kv?prefix=trips")
        await ask(service, "GET", "/v1/limits")
        shown = await scrape(service)

    counted = round_trips(shown)
    assert {error for _, error in counted} == {""}
    assert counted["MGET", ""] == 1
    assert counted["GET", ""] == 1
    assert counted["EVALSHA", ""] == 3
    assert counted["SCAN", ""] >= 1
    # A listing's SCAN and the server's TIME take round trips of their own.
    assert {command for command, _ in counted} <= {
        *("MGET", "GET", "EVALSHA", "SCAN", "GETRANGE", "TIME")
    }
    # Each of them finds a free connection.
    waits = shown.value("db_client_connection_wait_time_seconds_count")
    assert waits >= sum(counted.values())


async def test_every_request_on_a_redis_that_is_down_is_an_unsent_round_trip(
    observed: Serve,
) -> None:
    async with observed(store_url=NOWHERE) as service:
        for verb in (*READS, *CHANGES):
            await ask(service, verb.method, verb.path, **verb.options)
        shown = await scrape(service)

    counted = round_trips(shown)
    assert {error for _, error in counted} == {"unsent"}
    assert sum(counted.values()) >= len(READS) + len(CHANGES)
    assert shown.value("db_client_connection_wait_time_seconds_count") == 0


async def test_an_answer_that_never_comes_is_a_lost_round_trip(
    observed: Serve, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the check of a connection would be what fails.
    monkeypatch.setattr("svc.stores.node_link.CHECK_SECONDS", 600.0)
    async with (
        running_proxy(redis_server.port) as network,
        observed(store_url=network.url, store_timeout_ms=6000) as service,
    ):
        await put(service, "k", b"v")
        network.drops_replies = True

        answer = await put(service, "k", b"v")
        shown = await scrape(service)

    assert answer.status == 504
    assert round_trips(shown)["EVALSHA", "lost"] == 1
    assert shown.value(f"{TRIP}_bucket", error_type="lost", le="0.25") == 0


async def demote(server: RedisServer) -> None:
    with contextlib.closing(server.client()) as client:
        client.replicaof("127.0.0.1", str(free_port()))


async def fill(server: RedisServer) -> None:
    with contextlib.closing(server.client()) as client:
        client.config_set("maxmemory", 1)


@pytest.mark.parametrize(("breaks", "code"), [(demote, "READONLY"), (fill, "OOM")])
async def test_a_refusal_counts_under_the_servers_own_word(
    observed: Serve, redis_server: RedisServer, breaks: Any, code: str
) -> None:
    need_redis_7()
    async with observed(store_url=redis_server.url) as service:
        await put(service, "k", b"v")
        await breaks(redis_server)

        await put(service, "k", b"v")
        await ask(service, "PUT", "/v1/kv/k", data=b"v", **RECORDED)
        shown = await scrape(service)

    assert round_trips(shown)["EVALSHA", code] == 2


async def test_a_word_that_redis_does_not_use_counts_as_refused(
    observed: Serve, redis_server: RedisServer
) -> None:
    async with observed(store_url=redis_server.url) as service:
        await put(service, "k", b"v")
        made_up = ("EVAL", "return redis.error_reply('MADEUP by a script')", 0)
        deadline = asyncio.get_running_loop().time() + 60
        await service.store.link.execute([made_up], deadline=deadline)
        shown = await scrape(service)

    assert round_trips(shown) == {("EVALSHA", ""): 1, ("EVAL", "refused"): 1}


async def test_a_server_that_asks_for_a_password_is_named_as_refusing(
    observed: Serve, redis_server: RedisServer
) -> None:
    with contextlib.closing(redis_server.client()) as client:
        client.config_set("requirepass", "secret")
    async with observed(store_url=redis_server.url) as service:
        answer = await ask(service, "GET", "/v1/counters/c")
        shown = await scrape(service)

    assert answer.status == 503
    assert round_trips(shown) == {("GET", "NOAUTH"): 1}


async def test_connections_are_shown_idle_used_and_allowed(
    observed: Serve, redis_server: RedisServer
) -> None:
    async with observed(store_url=redis_server.url, store_timeout_ms=30_000) as service:
        fresh = connections(await scrape(service))
        await put(service, "k", b"v")
        rested = connections(await scrape(service))
        redis_server.signal(signal.SIGSTOP)
        try:
            asked = [
                asyncio.create_task(ask(service, "GET", f"/v1/counters/c{n}")) for n in range(5)
            ]
            busy = await eventually(lambda: uses(service, 5), what="five connections")
        finally:
            redis_server.signal(signal.SIGCONT)
        await asyncio.gather(*asked)
        after = connections(await scrape(service))

    seen = [fresh, rested, connections(busy), after]
    assert seen == [(0, 0), (1, 0), (0, 5), (5, 0)]
    assert busy.value("db_client_connections_max") == MAX_CONNECTIONS


def connections(shown: Scrape) -> tuple[float, float]:
    name = "db_client_connections"
    return shown.value(name, state="idle"), shown.value(name, state="used")


async def uses(service: Service, expected: int) -> Scrape | None:
    shown = await scrape(service)
    return shown if shown.value("db_client_connections", state="used") == expected else None


async def test_who_gives_up_waiting_for_a_connection_is_counted(
    observed: Serve, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_many, forever = 20, asyncio.get_running_loop().time() + 60
    async with observed(store_url=redis_server.url) as service:
        link = service.store.link
        # Connections that need no check before they are used, however slow the machine is.
        monkeypatch.setattr("svc.stores.node_link.CHECK_SECONDS", 600.0)
        await together(
            *(link.execute([("GET", b"k")], deadline=forever) for _ in range(MAX_CONNECTIONS))
        )
        before = await scrape(service)
        redis_server.signal(signal.SIGSTOP)
        try:
            # All at once. A little later, the last one would reuse the connection of the first.
            deadline = asyncio.get_running_loop().time() + 3
            await together(
                *(
                    link.execute([("GET", b"k")], deadline=deadline)
                    for _ in range(MAX_CONNECTIONS + too_many)
                )
            )
        finally:
            redis_server.signal(signal.SIGCONT)
        shown = await scrape(service)

    assert shown.value("db_client_connection_timeouts_total") == too_many
    assert round_trips(shown) == {
        ("GET", ""): MAX_CONNECTIONS,
        ("GET", "lost"): MAX_CONNECTIONS,
        ("GET", "unsent"): too_many,
    }
    assert connections(shown) == (0, 0)
    # A request that got no connection has not waited for one to become free.
    waits = "db_client_connection_wait_time_seconds_count"
    assert shown.value(waits) - before.value(waits) == MAX_CONNECTIONS


async def test_a_wait_for_a_connection_is_observed_as_long_as_it_took(
    observed: Serve, redis_server: RedisServer
) -> None:
    """Redis is stopped while all connections are in use: the rest waits at least as long."""
    more, stood_still = 10, 0.15
    async with observed(store_url=redis_server.url, store_timeout_ms=30_000) as service:
        await warm(service, MAX_CONNECTIONS + more)
        redis_server.signal(signal.SIGSTOP)
        asked = [
            asyncio.create_task(ask(service, "GET", f"/v1/counters/c{n}"))
            for n in range(MAX_CONNECTIONS + more)
        ]
        try:
            await eventually(lambda: uses(service, MAX_CONNECTIONS), what="all connections")
            await asyncio.sleep(stood_still)
        finally:
            redis_server.signal(signal.SIGCONT)
        answers = await asyncio.gather(*asked)
        shown = await scrape(service)

    assert {answer.status for answer in answers} == {404}
    waits = "db_client_connection_wait_time_seconds"
    long_ones = shown.value(f"{waits}_count") - shown.value(f"{waits}_bucket", le="0.1")
    assert long_ones >= more
    assert shown.value("db_client_connection_timeouts_total") == 0


@pytest.mark.parametrize("lane", ["read", "write", "add"])
async def test_a_batchers_operations_add_up_to_its_requests(observed: Serve, lane: str) -> None:
    requests = {
        "read": ("GET", "/v1/kv/shared", {}),
        "write": ("PUT", "/v1/kv/shared", {"data": b"v"}),
        "add": ("POST", "/v1/counters/shared/increments", {}),
    }
    method, path, options = requests[lane]
    async with observed() as service:
        await warm(service, 100)
        before = await scrape(service)
        await together(*(ask(service, method, path, **options) for _ in range(100)))
        shown = await scrape(service)

    name = "kv_coalesced_operations"

    def added(suffix: str) -> float:
        return shown.value(name + suffix, lane=lane) - before.value(name + suffix, lane=lane)

    assert added("_sum") == 100
    # Fewer round trips than requests, because some were shared.
    assert 1 <= added("_count") < 100
    for other in {"read", "write", "add"} - {lane}:
        same = {"lane": other}
        assert shown.value(f"{name}_sum", **same) == before.value(f"{name}_sum", **same)


async def test_conditional_and_bulk_operations_are_in_no_batcher(observed: Serve) -> None:
    async with observed() as service:
        await ask(service, "PUT", "/v1/kv/alone", data=b"v", **RECORDED)
        await ask(service, "POST", "/v1/counters/alone/increments", json={"max": 5})
        operations = [{"op": "get", "key": "alone"}] * 5
        await ask(service, "POST", "/v1/batch", json={"operations": operations})
        shown = await scrape(service)

    assert shown.value("kv_coalesced_operations_count") == 0
    assert round_trips(shown)["EVALSHA", ""] == 3
    assert ("MGET", "") not in round_trips(shown)


async def test_in_a_cluster_the_connections_and_round_trips_of_every_server_count(
    observed: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("cluster")
    with running_cluster(need_redis_7(), directory) as cluster:
        async with observed(store_url=cluster.url) as service:
            for n in range(20):
                await ask(service, "GET", f"/v1/counters/c{n}")
            shown = await scrape(service)

    assert round_trips(shown)["GET", ""] == 20
    assert shown.value("db_client_connections_max") == 3 * MAX_CONNECTIONS
    assert shown.value("db_client_connections", state="idle") >= 3
    assert shown.value("db_client_connections", state="used") == 0
