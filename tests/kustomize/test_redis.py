"""The rendered configuration of a single Redis, run: what it keeps, and whom it lets do what."""

from __future__ import annotations

import re
import signal
from typing import Final

import pytest
import redis

from tests.kustomize.redis_pods import START_SECONDS, MakeNode, Pod, execute_as, password_of
from tests.kustomize.requests_on_redis import service_on, succeeds, use_everything
from tests.support.answers import ask, increment
from tests.support.manifests import render
from tests.support.waiting import until


async def test_the_service_can_do_everything_on_the_single_redis(make_node: MakeNode) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")

    async with service_on(node) as service:
        await use_everything(service)
        # Two changes in one script, which Redis writes as a transaction.
        assert (await increment(service, "kept", "once")).json["value"] == 1
        for number in (signal.SIGTERM, signal.SIGKILL):
            pod.stop(number)
            pod.start()
            kept = await succeeds(
                lambda: ask(service, "GET", "/v1/counters/kept"),
                seconds=START_SECONDS,
                what="Redis again",
            )
            assert kept.json["value"] == 1
            assert (await increment(service, "kept", "once")).headers["Idempotency-Replayed"]

    assert pod.probe("livenessProbe")
    assert "CRITICAL" not in pod.log


REFUSED: Final = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "0"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "FLUSH"),
    ("ACL", "LIST"),
    ("CLIENT", "LIST"),
    ("MONITOR",),
    ("MODULE", "LIST"),
    ("REPLICAOF", "NO", "ONE"),
    ("MIGRATE", "127.0.0.1", "1", "kv:{000}:k", "0", "1"),
    ("SUBSCRIBE", "channel"),
    ("PUBLISH", "channel", "message"),
    ("SELECT", "1"),
    ("SWAPDB", "0", "1"),
    ("DUMP", "kv:{000}:k"),
    ("RENAME", "kv:{000}:k", "kv:{000}:l"),
    ("LPUSH", "kv:{000}:k", "v"),
    ("GET", "another"),
    ("GET", "kv:plain"),
    ("MGET", "kv:{000}:k", "another"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
    ("EVAL", "return redis.call('GET', 'another')", "0"),
    ("EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "another"),
)


def refusal_of(pod: Pod, user: str | None, password: str | None, *words: str) -> str:
    with pytest.raises(redis.RedisError) as refused:
        execute_as(pod, user, password, *words)
    return str(refused.value)


def test_what_the_service_does_not_do_it_may_not_do_and_nobody_else_may_do_anything(
    make_node: MakeNode,
) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")
    kv = ("kv", password_of(node.url()))

    assert execute_as(pod, *kv, "SET", "kv:{000}:k", "v")
    for words in REFUSED:
        assert re.search(
            "permission|not allowed|can't run|can't access", refusal_of(pod, *kv, *words)
        ), words
    assert "permission" in refusal_of(pod, "health", "any", "GET", "kv:{000}:k")
    assert execute_as(pod, "health", "any", "PING")
    assert refusal_of(pod, None, None, "PING") == "Authentication required."
    for user, password in (("kv", "wrong"), ("default", ""), ("default", kv[1])):
        assert "invalid username-password pair" in refusal_of(pod, user, password, "PING")


def test_the_rendered_configuration_keeps_every_write_and_evicts_none(make_node: MakeNode) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")

    info = execute_as(pod, "kv", password_of(node.url()), "INFO")

    assert (info["aof_enabled"], info["maxmemory_policy"]) == (1, "noeviction")
    assert info["maxmemory"] == 64 * 2**20
    assert {name for name in info if "rejected_calls=" in str(info[name])} == set()
