"""Operations on a Redis Cluster: find a slot's server, move the slot, stop a server, add one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from redis.crc import key_slot

from svc.domain.model import CounterName, Key
from svc.stores.names import counter_name, entry_name
from tests.support.ports import free_port
from tests.support.redis_servers import (
    NODE_TIMEOUT_MS,
    RedisCluster,
    RedisServer,
    running_redis,
)
from tests.support.waiting import PATIENT_SECONDS, until


def ask_node(server: RedisServer, *words: Any) -> Any:
    with contextlib.closing(server.client()) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


def slot_of_key(key: str) -> int:
    return key_slot(entry_name(Key(key)))


def slot_of_counter(name: str) -> int:
    return key_slot(counter_name(CounterName(name)))


def owner_of(cluster: RedisCluster, slot: int) -> RedisServer:
    """Return the server that has the slot."""
    port = port_of_owner(cluster.servers[0], slot)
    return next(s for s in cluster.servers if s.port == port)


def port_of_owner(witness: RedisServer, slot: int) -> int:
    """Return the port of the server that has the slot, according to another server."""
    for first, last, primary, *_ in ask_node(witness, "CLUSTER", "SLOTS"):
        if first <= slot <= last:
            return int(primary[1])
    raise AssertionError(f"nobody has slot {slot}")


def names_on(
    cluster: RedisCluster, server: RedisServer, names: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Return the names whose entry is on the server, and those whose counter is."""
    names = list(names)
    return (
        [n for n in names if owner_of(cluster, slot_of_key(n)) is server],
        [n for n in names if owner_of(cluster, slot_of_counter(n)) is server],
    )


@contextlib.asynccontextmanager
async def hanging(server: RedisServer) -> AsyncIterator[None]:
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


def id_of(server: RedisServer) -> str:
    return bytes(ask_node(server, "CLUSTER", "MYID")).decode()


class Migration:
    """The migration of one slot from one server to another, in steps."""

    def __init__(self, cluster: RedisCluster, slot: int) -> None:
        self.cluster = cluster
        self.slot = slot
        self.source = owner_of(cluster, slot)
        self.target = next(s for s in cluster.servers if s is not self.source)
        self.under_way = False

    def begin(self) -> None:
        self.under_way = True
        ask_node(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", id_of(self.source))
        ask_node(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", id_of(self.target))

    def names(self) -> list[bytes]:
        found: list[bytes] = ask_node(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        return found

    def move(self, name: bytes) -> None:
        ask_node(self.source, "MIGRATE", "127.0.0.1", self.target.port, name, 0, 5000)

    def end(self) -> None:
        if not self.under_way:
            return
        self.under_way = False
        for name in self.names():
            self.move(name)
        new_owner = id_of(self.target)
        for server in sorted(self.cluster.servers, key=lambda s: s is not self.target):
            ask_node(server, "CLUSTER", "SETSLOT", self.slot, "NODE", new_owner)


def wait_whole(cluster: RedisCluster, *, seconds: float = PATIENT_SECONDS) -> None:
    """Wait until every running server reports that all slots are served."""
    running = [s for s in cluster.servers if s.process is not None]
    until(lambda: all(map(_sees_all, running)), seconds=seconds, what="the cluster")


def _sees_all(server: RedisServer) -> bool:
    answer = ask_node(server, "CLUSTER", "INFO")
    lines = bytes(answer).decode().splitlines()
    return {"cluster_state:ok", "cluster_slots_ok:16384"} <= set(lines)


@contextlib.asynccontextmanager
async def running_replica(
    cluster: RedisCluster, primary: RedisServer, directory: Path
) -> AsyncIterator[RedisServer]:
    """Run a replica that all servers know. At the end, the primary is one again."""
    options = (
        *("--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS),
        *("--cluster-config-file", "nodes.conf", "--cluster-port", str(free_port())),
        *("--repl-diskless-sync-delay", "0"),
    )
    with running_redis(primary.binary, directory, *options) as replica:
        await asyncio.to_thread(_follow, cluster, primary, replica)
        try:
            yield replica
        finally:
            await asyncio.to_thread(_give_back, cluster, primary, replica)


def _follow(cluster: RedisCluster, primary: RedisServer, replica: RedisServer) -> None:
    with contextlib.closing(primary.client()) as client:
        bus = client.config_get("cluster-port")["cluster-port"]
    ask_node(replica, "CLUSTER", "MEET", "127.0.0.1", primary.port, bus)
    until(lambda: _knows(replica, primary), what="the handshake")
    ask_node(replica, "CLUSTER", "REPLICATE", id_of(primary))
    until(lambda: _is_linked(replica), what="the replica")
    # The others hear of it later. One that doesn't know it can't be told to forget it.
    until(lambda: all(_knows(each, replica) for each in cluster.servers), what="the gossip")


def _give_back(cluster: RedisCluster, primary: RedisServer, replica: RedisServer) -> None:
    if not is_replica(replica):
        until(lambda: is_replica(primary), what="the demotion")
        until(lambda: _is_linked(primary), what="the demoted one")
        ask_node(primary, "CLUSTER", "FAILOVER", "TAKEOVER")
        until(lambda: is_replica(replica), what="the second demotion")
    node = id_of(replica)
    replica.stop()
    for server in cluster.servers:
        ask_node(server, "CLUSTER", "FORGET", node)


def _knows(server: RedisServer, other: RedisServer) -> bool:
    return id_of(other).encode() in bytes(ask_node(server, "CLUSTER", "NODES"))


def is_replica(server: RedisServer) -> bool:
    return _replication(server)["role"] == "slave"


def _is_linked(server: RedisServer) -> bool:
    return _replication(server).get("master_link_status") == "up"


def _replication(server: RedisServer) -> dict[str, object]:
    with contextlib.closing(server.client()) as client:
        facts: dict[str, object] = client.info("replication")
        return facts
