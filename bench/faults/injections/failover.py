"""Another server becomes the primary: by Sentinel, in a Cluster, or a slot at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import redis

from bench.frame.processes import free_port
from svc.domain.model import CounterName
from svc.stores.names import counter_name, slot_of

from ...consistency.workload import Workload
from ...testbed.restartable import (
    Program,
    Redis,
    ask_redis,
    ending,
    running_redis,
    running_services,
    until,
)
from ..scenes import Fault, Ground, Scene

SENTINELS: Final = 3
SERVICE: Final = "tally"
SLOTS: Final = 16384
#: Slots moved under load, those of the workload's counters among them.
MOVED_BESIDE: Final = 20


class Sentinel(Program):
    def __init__(self, directory: Path, primary: Redis) -> None:
        self.port = free_port()
        directory.mkdir(parents=True)
        file = directory / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {SENTINELS // 2 + 1}\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        command = [primary.command[0], str(file), "--sentinel"]
        super().__init__(command, directory / "sentinel.log", {})

    async def ask(self, *words: str) -> Any:
        return await asyncio.to_thread(ask_redis, self.port, *words)

    async def knows_all(self) -> bool:
        """Tell whether it knows the replica and the others; look more often than by default."""
        with contextlib.suppress(redis.RedisError):
            await self.ask("SENTINEL DEBUG", "info-period", "200", "publish-period", "200")
            state = await self.ask("SENTINEL MASTER", SERVICE)
            known = (int(state["num-slaves"]), int(state["num-other-sentinels"]))
            return known == (1, SENTINELS - 1)
        return False

    async def primary_port(self) -> int:
        return int((await self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE))[1])


@contextlib.asynccontextmanager
async def watched(ground: Ground) -> AsyncIterator[Scene]:
    async with running_redis(ground.directory / "primary") as primary:
        replica = Redis(ground.directory / "replica", "--replicaof", f"127.0.0.1 {primary.port}")
        sentinels = [Sentinel(ground.directory / f"s{i}", primary) for i in range(SENTINELS)]
        with ending(replica, *sentinels):
            await replica.start()
            await until(lambda: _is_linked(replica), replica, "is not linked to its primary")
            for each in sentinels:
                each.spawn()
            for each in sentinels:
                await until(each.knows_all, each, "does not know the others")
            where = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
            url = f"redis+sentinel://{where}/{SERVICE}"
            async with running_services(ground.directory, url) as services:

                async def strike(_: Workload) -> None:
                    primary.kill()
                    for each in sentinels:
                        await until(
                            lambda s=each: _names(s, replica),
                            each,
                            "names no new primary",
                        )

                yield Scene(services, strike)


async def _names(sentinel: Sentinel, server: Redis) -> bool:
    return await sentinel.primary_port() == server.port and await _is_primary(server)


@contextlib.asynccontextmanager
async def running_cluster(directory: Path, replicas: int) -> AsyncIterator[list[Redis]]:
    """Run three primaries, then as many replicas of the first, until the block ends."""
    servers = [
        Redis(
            directory / f"node-{i}",
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
            *("--cluster-config-file", "nodes.conf"),
            *("--cluster-require-full-coverage", "no"),
        )
        for i in range(3 + replicas)
    ]
    with ending(*servers):
        for each in servers:
            await each.start()
        bounds = [SLOTS * i // 3 for i in range(4)]
        for i, each in enumerate(servers):
            if i < 3:
                await each.ask("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            await each.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            await each.ask("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for each in servers:
            await until(lambda s=each: _is_whole(s, len(servers)), each, "sees no whole cluster")
        for each in servers[3:]:
            await each.ask("CLUSTER", "REPLICATE", await _id_of(servers[0]))
            await until(lambda s=each: _is_linked(s), each, "is not linked to its primary")
        yield servers


@contextlib.asynccontextmanager
async def cluster_failover(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_cluster(ground.directory, replicas=1) as servers,
        running_services(ground.directory, _url(servers)) as services,
    ):

        async def strike(_: Workload) -> None:
            servers[0].kill()
            replica = servers[3]
            await until(lambda: _is_primary(replica), replica, "was not promoted")
            for each in servers[1:]:
                await until(lambda s=each: _serves_all(s), each, "misses slots")

        yield Scene(services, strike)


@contextlib.asynccontextmanager
async def cluster_migration(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_cluster(ground.directory, replicas=0) as servers,
        running_services(ground.directory, _url(servers)) as services,
    ):

        async def strike(workload: Workload) -> None:
            names = [*workload.counters("plain"), *workload.counters("keyed")]
            slots = {slot_of(counter_name(CounterName(name))) for name in names}
            for slot in sorted(slots | set(range(MOVED_BESIDE))):
                source = servers[min(slot * 3 // SLOTS, 2)]
                target = servers[(servers.index(source) + 1) % 3]
                await move_slot(slot, source, target, servers)

        yield Scene(services, strike)


async def move_slot(slot: int, source: Redis, target: Redis, servers: list[Redis]) -> None:
    """Move the slot and the keys in it, in the order that Redis's documentation gives."""
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", await _id_of(source))
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", await _id_of(target))
    while names := await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
        for name in names:
            await source.ask("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
    owner = await _id_of(target)
    for each in sorted(servers, key=lambda s: s is not target):
        await each.ask("CLUSTER", "SETSLOT", slot, "NODE", owner)


def _url(servers: list[Redis]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in servers[:3])


async def _id_of(server: Redis) -> str:
    return bytes(await server.ask("CLUSTER", "MYID")).decode()


async def _info(server: Redis) -> dict[str, str]:
    text = bytes(await server.ask("CLUSTER", "INFO")).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _is_whole(server: Redis, count: int) -> bool:
    info = await _info(server)
    return await _serves_all(server) and info["cluster_known_nodes"] == str(count)


async def _serves_all(server: Redis) -> bool:
    info = await _info(server)
    return (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", str(SLOTS))


async def _is_linked(server: Redis) -> bool:
    return bool((await server.ask("INFO", "replication")).get("master_link_status") == "up")


async def _is_primary(server: Redis) -> bool:
    return bool((await server.ask("INFO", "replication"))["role"] == "master")


FAULTS: Final = (
    Fault(
        name="sentinel-failover",
        title="Sentinel: primary killed, failover",
        scene=watched,
        is_durable=False,
        promise="unreplicated lost",
    ),
    Fault(
        name="cluster-failover",
        title="Cluster: primary killed, failover",
        scene=cluster_failover,
        is_durable=False,
        promise="unreplicated lost",
    ),
    Fault(
        name="cluster-migration",
        title="Cluster: slots migrate",
        scene=cluster_migration,
    ),
)
