"""A failover of a Cluster loses what one server acknowledged last. A retry makes nothing twice."""

from __future__ import annotations

import contextlib

import redis

from tests.support.answers import ask, counter_value
from tests.support.redis_servers import RedisCluster
from tests.support.services import Service

PAIRS = 40


def names(cluster: RedisCluster, pattern: str) -> list[bytes]:
    return [name for client in clients(cluster) for name in client.scan_iter(pattern, count=10_000)]


def clients(cluster: RedisCluster) -> list[redis.Redis]:
    return [server.client() for server in cluster.servers]


async def test_a_retried_post_makes_one_entry_whichever_server_lost_everything(
    patient_on_cluster: Service, own_cluster: RedisCluster
) -> None:
    service = patient_on_cluster

    async def post(number: int) -> str:
        headers = {"Idempotency-Key": f"once-{number}"}
        answer = await ask(service, "POST", "/v1/kv/c/", data=b"v", headers=headers)
        assert answer.status == 201
        return str(answer.headers["Location"])

    for number in range(PAIRS):
        await post(number)

    # A server that loses everything is the worst case of one that loses what came last.
    for server in own_cluster.servers:
        with contextlib.closing(server.client()) as client:
            client.flushall()
        for number in range(PAIRS):
            await post(number)

        assert len(names(own_cluster, "kv:*")) == PAIRS


async def test_a_retried_batch_counts_once_though_the_record_of_the_batch_was_lost(
    patient_on_cluster: Service, own_cluster: RedisCluster
) -> None:
    service = patient_on_cluster
    once = {"Idempotency-Key": "once"}
    operations = [{"op": "add", "counter": f"n{i}"} for i in range(10)]
    await ask(service, "POST", "/v1/batch", json={"operations": operations}, headers=once)
    for client in clients(own_cluster):
        for name in client.scan_iter("op:*:claim"):
            client.delete(name)

    await ask(service, "POST", "/v1/batch", json={"operations": operations}, headers=once)

    for i in range(10):
        assert await counter_value(service, f"n{i}") == 1
