"""Another Redis becomes the primary: by Sentinel, in a Cluster, or one slot at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from bench.consistency.workload import Workload
from bench.frame.processes import Server, free_port, running, running_all
from bench.frame.program import Run
from bench.testbed.servers import Redis, Service, execute, wait_until
from svc.domain.model import CounterName
from svc.stores.names import counter_name, slot_of

from ..experiment import Fault, Sizes, Target
from .setups import redis_for_faults

SENTINELS: Final = 3
SERVICE: Final = "tally"
SLOTS: Final = 16384
#: Slots that move under load, besides those of the workload's counters.
OTHER_SLOTS: Final = 20


class Sentinel(Server):
    """One of the sentinels that watch a primary."""

    def __init__(self, directory: Path, primary: Redis) -> None:
        port = free_port()
        directory.mkdir(parents=True)
        file = directory / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {SENTINELS // 2 + 1}\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        super().__init__("Sentinel", [primary.command[0], str(file), "--sentinel"], port)

    async def execute(self, *words: str) -> Any:
        return await asyncio.to_thread(execute, self.port, *words)

    async def knows_all(self) -> bool:
        """Return True if it knows the replica and the others. Make it look more often."""
        with contextlib.suppress(redis.RedisError):
            await self.execute("SENTINEL DEBUG", "info-period", "200", "publish-period", "200")
            state = await self.execute("SENTINEL MASTER", SERVICE)
            known = (int(state["num-slaves"]), int(state["num-other-sentinels"]))
            return known == (1, SENTINELS - 1)
        return False

    async def primary_port(self) -> int:
        return int((await self.execute("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE))[1])


@contextlib.asynccontextmanager
async def sentinel_failover(run: Run[Sizes]) -> AsyncIterator[Target]:
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(running(redis_for_faults(run.directory / "primary")))
        of_primary = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = redis_for_faults(run.directory / "replica", *of_primary)
        stack.enter_context(running(replica))
        await wait_until(partial(_is_linked, replica), replica, "is not linked to its primary")
        sentinels = [Sentinel(run.directory / f"s{i}", primary) for i in range(SENTINELS)]
        stack.enter_context(running_all(sentinels))
        for each in sentinels:
            await wait_until(each.knows_all, each, "does not know the others")
        addresses = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
        url = f"redis+sentinel://{addresses}/{SERVICE}"
        service = stack.enter_context(running(Service(url)))

        async def inject(_: Workload) -> None:
            primary.kill()
            for each in sentinels:
                await wait_until(partial(_names, each, replica), each, "names no new primary")

        yield Target([service], inject)


async def _names(sentinel: Sentinel, server: Redis) -> bool:
    return await sentinel.primary_port() == server.port and await _is_primary(server)


@contextlib.asynccontextmanager
async def running_cluster(directory: Path, replicas: int) -> AsyncIterator[list[Redis]]:
    """Run three primaries, and replicas of the first, until the block ends."""
    servers = [
        redis_for_faults(
            directory / f"node-{i}",
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
            *("--cluster-config-file", "nodes.conf"),
            *("--cluster-require-full-coverage", "no"),
        )
        for i in range(3 + replicas)
    ]
    with running_all(servers):
        bounds = [SLOTS * i // 3 for i in range(4)]
        for i, each in enumerate(servers):
            if i < 3:
                await each.execute("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            await each.execute("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            await each.execute("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for each in servers:
            await wait_until(
                partial(_is_complete, each, len(servers)), each, "does not see the whole cluster"
            )
        for each in servers[3:]:
            await each.execute("CLUSTER", "REPLICATE", await _id_of(servers[0]))
            await wait_until(partial(_is_linked, each), each, "is not linked to its primary")
        yield servers


@contextlib.asynccontextmanager
async def cluster_failover(run: Run[Sizes]) -> AsyncIterator[Target]:
    async with running_cluster(run.directory, replicas=1) as servers:
        service = Service(_url(servers))

        async def inject(_: Workload) -> None:
            servers[0].kill()
            replica = servers[3]
            await wait_until(partial(_is_primary, replica), replica, "was not promoted")
            for each in servers[1:]:
                await wait_until(partial(_serves_all, each), each, "misses slots")

        with running(service):
            yield Target([service], inject)


@contextlib.asynccontextmanager
async def cluster_migration(run: Run[Sizes]) -> AsyncIterator[Target]:
    async with running_cluster(run.directory, replicas=0) as servers:
        service = Service(_url(servers))

        async def inject(workload: Workload) -> None:
            names = [*workload.counters("plain"), *workload.counters("keyed")]
            slots = {slot_of(counter_name(CounterName(name))) for name in names}
            for slot in sorted(slots | set(range(OTHER_SLOTS))):
                source = servers[min(slot * 3 // SLOTS, 2)]
                target = servers[(servers.index(source) + 1) % 3]
                await move_slot(slot, source, target, servers)

        with running(service):
            yield Target([service], inject)


async def move_slot(slot: int, source: Redis, target: Redis, servers: list[Redis]) -> None:
    """Move the slot and the keys in it, in the order of Redis's documentation."""
    await target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", await _id_of(source))
    await source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", await _id_of(target))
    while names := await source.execute("CLUSTER", "GETKEYSINSLOT", slot, 10):
        for name in names:
            await source.execute("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
    owner = await _id_of(target)
    for each in sorted(servers, key=lambda s: s is not target):
        await each.execute("CLUSTER", "SETSLOT", slot, "NODE", owner)


def _url(servers: list[Redis]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in servers[:3])


async def _id_of(server: Redis) -> str:
    return bytes(await server.execute("CLUSTER", "MYID")).decode()


async def _info(server: Redis) -> dict[str, str]:
    text = bytes(await server.execute("CLUSTER", "INFO")).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _is_complete(server: Redis, count: int) -> bool:
    info = await _info(server)
    return await _serves_all(server) and info["cluster_known_nodes"] == str(count)


async def _serves_all(server: Redis) -> bool:
    info = await _info(server)
    return (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", str(SLOTS))


async def _is_linked(server: Redis) -> bool:
    return bool((await server.execute("INFO", "replication")).get("master_link_status") == "up")


async def _is_primary(server: Redis) -> bool:
    return bool((await server.execute("INFO", "replication"))["role"] == "master")


UNREPLICATED: Final = "unreplicated changes may be lost"
FAULTS: Final = (
    Fault(
        "sentinel-failover",
        "Sentinel: primary killed, failover",
        sentinel_failover,
        is_durable=False,
        promise=UNREPLICATED,
    ),
    Fault(
        "cluster-failover",
        "Cluster: primary killed, failover",
        cluster_failover,
        is_durable=False,
        promise=UNREPLICATED,
    ),
    Fault("cluster-migration", "Cluster: slots migrate", cluster_migration),
)
