"""The rendered Sentinel and Cluster, run: failover, new passwords, new addresses."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import redis

from tests.kustomize.redis_pods import (
    START_SECONDS,
    MakeNode,
    Pod,
    execute_as,
    make_secret,
    password_of,
)
from tests.kustomize.requests_on_redis import service_on, succeeds, use_everything
from tests.support.answers import ask, increment, put
from tests.support.manifests import compose, render
from tests.support.waiting import until

#: redis-cli takes long to form a cluster of six servers.
FORM_SECONDS: Final = 120.0


def has_role(config: str, primary: str) -> bool:
    """Return True if the server replicates from this primary, or is it."""
    is_primary = f"replica-announce-ip {primary}\n" in config and "\nreplicaof " not in config
    return is_primary or f"replicaof {primary} " in config


async def test_the_service_follows_the_primary_that_sentinels_choose(make_node: MakeNode) -> None:
    # Its Sentinels wait for five seconds: with less, a primary that a busy machine does not run for
    # a moment is taken for dead.
    node = make_node([*render("kustomize/overlays/prod"), make_secret("sentinel")])
    servers = [node.run("redis", i) for i in range(3)]
    sentinels = [node.run("sentinel", i) for i in range(3)]
    for pod in (*servers, *sentinels):
        until(pod.is_ready, seconds=START_SECONDS, what=pod.name)
    until(lambda: all(map(knows_all, sentinels)), seconds=START_SECONDS, what="Sentinels")

    async with service_on(node) as service:
        await succeeds(lambda: put(service, "k", b"v"), seconds=START_SECONDS, what="a replica")
        await use_everything(service)

        # The primary is killed and comes back at once with an empty volume.
        servers[0].stop(signal.SIGKILL)
        servers[0].wipe()
        servers[0].start()
        read = await succeeds(
            lambda: ask(service, "GET", "/v1/kv/k"), seconds=START_SECONDS, what="a failover"
        )
        assert read.body == b"v"
        until(servers[0].is_ready, seconds=START_SECONDS, what="redis-0")
        # On a busy machine the Sentinels may choose once more, even redis-0.
        until(
            lambda: has_role(config_at(servers[0]), primary_of(sentinels[1])),
            seconds=START_SECONDS,
            what="the primary in the configuration of redis-0",
        )
        await succeeds(lambda: put(service, "k", b"w"), seconds=START_SECONDS, what="a replica")
        await use_everything(service)
        # Any of them may be the primary next.
        until(lambda: have_the_same(servers), seconds=START_SECONDS, what="the replicas")

    # All pods are killed and start again with new passwords and their old data.
    for pod in (*servers, *sentinels):
        pod.stop(signal.SIGKILL)
    node.objects = [each for each in node.objects if each["kind"] != "Secret"]
    node.objects.append(make_secret("sentinel"))
    for pod in (*sentinels, *servers):
        pod.start()
    async with service_on(node) as service:
        await succeeds(lambda: put(service, "l", b"x"), seconds=START_SECONDS, what="a primary")
        assert (await ask(service, "GET", "/v1/kv/k")).body == b"w"
    until(lambda: all(map(knows_all, sentinels)), seconds=START_SECONDS, what="Sentinels")


async def test_six_servers_form_a_cluster_and_find_each_other_after_all_have_moved(
    make_node: MakeNode, tmp_path: Path
) -> None:
    rendered = compose(tmp_path / "overlay", "kustomize/components/redis-cluster")
    node = make_node([*rendered, make_secret("cluster")])
    servers = [node.run("redis", i) for i in range(6)]
    until(
        lambda: all(pod.is_ready() for pod in servers),
        seconds=FORM_SECONDS,
        what="the cluster",
    )

    async with service_on(node) as service:
        await use_everything(service)
        assert (await increment(service, "kept", "once")).json["value"] == 1
    for pod in servers:
        pod.stop(signal.SIGKILL)
    node.moved = 100
    for pod in servers:
        pod.start()
    async with service_on(node) as service:
        again = await succeeds(
            lambda: increment(service, "kept", "once"), seconds=FORM_SECONDS, what="the cluster"
        )
        assert again.headers["Idempotency-Replayed"]
        until(
            lambda: all(pod.is_ready() for pod in servers),
            seconds=FORM_SECONDS,
            what="the cluster again",
        )
        await use_everything(service)


def knows_all(sentinel: Pod) -> bool:
    try:
        (state,) = execute_as(sentinel, None, None, "SENTINEL MASTERS").values()
    except redis.RedisError:
        return False
    return (state["num-slaves"], state["num-other-sentinels"]) == (2, 2)


def have_the_same(servers: Sequence[Pod]) -> bool:
    """Return True if all servers have received the same writes."""
    password = password_of(servers[0].node.url())
    offsets = set()
    try:
        for server in servers:
            with contextlib.closing(server.client("kv", password)) as client:
                offsets.add(client.info("replication")["master_repl_offset"])
    except redis.RedisError:
        return False
    return len(offsets) == 1


def primary_of(sentinel: Pod) -> str:
    address = execute_as(sentinel, None, None, "SENTINEL GET-MASTER-ADDR-BY-NAME", "kv")[0]
    return bytes(address).decode()


def config_at(server: Pod) -> str:
    return (server.node.directory / server.name / "data" / "redis.conf").read_text()
