"""Faults of Redis and of the way to it leave every watcher with the last state of everything.

What Redis loses is lost for watchers too: they end up with what a GET answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from svc.domain.model import CounterName, Key
from svc.settings import Settings
from svc.stores.names import counter_name, entry_name
from tests.support.answers import ask, insist, put
from tests.support.clusters import (
    Migration,
    ask_node,
    is_replica,
    running_replica,
    slot_of_key,
    wait_whole,
)
from tests.support.event_streams import Watch, watching
from tests.support.redis_servers import RedisCluster, RedisServer, running_redis
from tests.support.services import Service, running_service
from tests.support.tcp_proxy import Proxy, running_proxy
from tests.support.waiting import eventually

PATHS = ("/v1/kv?prefix=w/&include=value", "/v1/kv/w/1", "/v1/counters?prefix=", "/v1/counters/w")


@contextlib.asynccontextmanager
async def watched(service: Service) -> AsyncIterator[list[Watch]]:
    """Watch entries and counters, each by name and by prefix."""
    async with contextlib.AsyncExitStack() as stack:
        watches = [
            await stack.enter_async_context(watching(service.client, service.url(path)))
            for path in PATHS
        ]
        for watch in watches:
            await watch.until(lambda w: w.is_synced)
        yield watches


async def read(service: Service, path: str) -> dict[str, str]:
    """Return the ETags of what a watch of the path is to have told; {} while it can't be read."""
    name = path.partition("?")[0].rpartition("/")[2]
    if "?" not in path:
        async with service.get(path) as response:
            found = {path.split("/", 3)[3]: response.headers.get("ETag", "")}
            return found if response.status == 200 else {}
    async with service.get(f"/v1/{name}?{path.partition('?')[2].partition('&')[0]}") as response:
        items = (await response.json()).get("items", [])
    return {
        item.get("key", item.get("name")): item.get("etag", f'"{item.get("value")}"')
        for item in items
    }


async def know(service: Service, watches: list[Watch]) -> None:
    """Wait until each watch told what a request answers."""
    for path, watch in zip(PATHS, watches, strict=True):

        async def same(path: str = path, watch: Watch = watch) -> bool:
            told = {name: data["etag"] for name, data in watch.state.items()}
            return watch.is_synced and told == await read(service, path)

        await eventually(same, what=path)


async def change(service: Service, number: int) -> None:
    """Change everything that is watched, as soon as the store can be written."""
    for key in ("w/1", "w/2", f"w/{number}"):
        await insist(lambda key=key: put(service, key, b"%d" % number))  # type: ignore[misc]
    await insist(lambda: ask(service, "PUT", "/v1/counters/w", json={"value": number}))
    async with service.delete(f"/v1/kv/w/{number - 1}") as response:
        await response.read()


def kill_subscribers(server: RedisServer) -> None:
    with contextlib.closing(server.client()) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]


async def test_a_subscription_that_is_killed_again_and_again_loses_nothing(
    served_on_either: Service, either_redis: RedisServer
) -> None:
    async with watched(served_on_either) as watches:
        for number in range(10, 20):
            await asyncio.gather(
                change(served_on_either, number),
                asyncio.to_thread(kill_subscribers, either_redis),
            )
        await know(served_on_either, watches)


async def test_a_redis_that_is_killed_and_comes_back_is_told_as_it_is(
    served: Service, redis_server: RedisServer
) -> None:
    await change(served, 10)
    async with watched(served) as watches:
        await know(served, watches)
        os.kill(redis_server.pid, signal.SIGKILL)
        redis_server.stop()
        await asyncio.to_thread(redis_server.start)
        await know(served, watches)
        await change(served, 11)
        await know(served, watches)


async def test_what_changes_while_redis_does_not_answer_is_told_afterwards(
    served: Service, redis_server: RedisServer
) -> None:
    async with watched(served) as watches:
        await change(served, 10)
        stopped = time.monotonic()
        redis_server.signal(signal.SIGSTOP)
        try:
            await eventually(lambda: _is_down(served, stopped), what="the end of the subscription")
        finally:
            redis_server.signal(signal.SIGCONT)
        await change(served, 11)
        await know(served, watches)


def _is_down(service: Service, since: float) -> bool:
    """Return True once a new connection could not be made: the subscription was given up.

    On a busy machine, something may have timed out before.
    """
    age = time.monotonic() - since
    return any(
        failure.reason == "timeout" and failure.last_seconds < age
        for failure in service.store.failures()
    )


async def test_what_others_write_while_the_network_is_down_is_told_afterwards(
    network: Proxy, redis_server: RedisServer
) -> None:
    settings = Settings(store_url=network.url, store_timeout_ms=1000)
    async with running_service(settings) as service, watched(service) as watches:
        await change(service, 10)
        await know(service, watches)
        cut = time.monotonic()
        network.holds_requests = network.drops_replies = True
        with contextlib.closing(redis_server.client()) as client:
            client.set(counter_name(CounterName("w")), 77)
            client.delete(entry_name(Key("w/1")))
        # TCP loses nothing from the middle: the connections of this time must end first.
        await eventually(lambda: _is_down(service, cut), what="the end of the subscription")
        network.holds_requests = network.drops_replies = False
        await watches[1].until(lambda w: not w.state)
        await watches[3].until(lambda w: w.state["w"]["value"] == 77)
        await know(service, watches)


async def test_a_new_primary_at_the_same_address_is_noticed(
    either_redis: RedisServer, tmp_path: Path
) -> None:
    with running_redis(either_redis.binary, tmp_path / "new") as new:
        async with (
            running_proxy(either_redis.port) as network,
            running_service(Settings(store_url=network.url)) as service,
            watched(service) as watches,
        ):
            await change(service, 10)
            network.target_port = new.port
            with contextlib.closing(either_redis.client()) as demoted:
                demoted.replicaof("127.0.0.1", str(new.port))
            await change(service, 11)
            await know(service, watches)


async def test_a_server_of_a_cluster_that_dies_and_comes_back(
    served_on_cluster: Service, own_cluster: RedisCluster, victim: RedisServer
) -> None:
    async with watched(served_on_cluster) as watches:
        await change(served_on_cluster, 10)
        await asyncio.to_thread(victim.stop)
        await asyncio.to_thread(victim.start)
        await asyncio.to_thread(wait_whole, own_cluster)
        await change(served_on_cluster, 11)
        await know(served_on_cluster, watches)


async def test_a_slot_that_moves_to_another_server(
    patient_on_cluster: Service, own_cluster: RedisCluster
) -> None:
    service = patient_on_cluster
    async with watched(service) as watches:
        for number in (10, 11):  # there and back
            migration = Migration(own_cluster, slot_of_key("w/1"))
            writing = asyncio.create_task(write(service, 30))
            try:
                await asyncio.to_thread(migration.begin)
                for name in await asyncio.to_thread(migration.names):
                    await asyncio.to_thread(migration.move, name)
                await change(service, number)
            finally:
                await asyncio.to_thread(migration.end)
            await writing
            await know(service, watches)


async def write(service: Service, times: int) -> None:
    for number in range(times):
        await put(service, "w/1", b"%d" % number)


async def test_a_primary_of_a_cluster_that_hands_over_to_its_replica(
    own_cluster: RedisCluster, tmp_path: Path
) -> None:
    """The old one stays, as a replica: its connection does not break."""
    own_cluster.flush()
    old = own_cluster.servers[0]
    settings = Settings(store_url=own_cluster.url, store_timeout_ms=1000)
    async with running_replica(own_cluster, old, tmp_path / "replica") as replica:
        await asyncio.to_thread(wait_whole, own_cluster)
        async with running_service(settings) as service, watched(service) as watches:
            await change(service, 10)
            await asyncio.to_thread(ask_node, replica, "CLUSTER", "FAILOVER", "TAKEOVER")
            await eventually(
                lambda: asyncio.to_thread(is_replica, old), what="the old one's demotion"
            )
            await change(service, 11)
            await know(service, watches)
