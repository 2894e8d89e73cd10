"""A primary and a replica, monitored by Sentinels."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.waiting import PATIENT_SECONDS, until

SERVICE = "tally"
#: A primary that a busy machine holds up for seconds is not down.
DOWN_AFTER_MS = 8000


class Sentinel:
    """One redis-sentinel process."""

    def __init__(self, binary: str, directory: Path, primary: RedisServer, quorum: int) -> None:
        self.port = free_port()
        directory.mkdir(parents=True)
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        with (directory / "sentinel.log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary, str(configuration), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ask(self, *words: str) -> Any:
        never = Retry(NoBackoff(), 0)
        with contextlib.closing(
            redis.Redis(port=self.port, retry=never, socket_timeout=PATIENT_SECONDS)
        ) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    @property
    def primary_port(self) -> int:
        answer = self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(answer[1])

    def knows(self, *, replicas: int, sentinels: int) -> bool:
        try:
            state = self.ask("SENTINEL MASTER", SERVICE)
        except redis.RedisError:
            return False
        known = (int(state["num-slaves"]), int(state["num-other-sentinels"]))
        return known == (replicas, sentinels - 1)

    def speed_up(self) -> bool:
        """Shorten its periods, which are seconds by default. Return False if it does not answer."""
        try:
            self.ask("SENTINEL DEBUG", "info-period", "200", "publish-period", "200")
        except redis.ConnectionError:
            return False
        return True

    def fail_over(self) -> None:
        """Make the replica the primary.

        Sentinel refuses as long as it knows no good replica or another failover is under way, and
        gives up one that a busy machine holds up.
        """
        before = self.primary_port

        def has_moved() -> bool:
            if self.primary_port != before:
                return True
            with contextlib.suppress(redis.ResponseError):
                self.ask("SENTINEL FAILOVER", SERVICE)
            return False

        until(has_moved, what="the failover")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(PATIENT_SECONDS)


class SentinelSetup:
    def __init__(self, servers: list[RedisServer], sentinels: list[Sentinel]) -> None:
        self.primary, self.replica = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        where = ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels)
        return f"redis+sentinel://{where}/{SERVICE}"


@contextlib.contextmanager
def running_sentinels(binary: str, directory: Path, count: int) -> Iterator[SentinelSetup]:
    with contextlib.ExitStack() as stack:
        sync_at_once = ("--repl-diskless-sync-delay", "0")
        primary = stack.enter_context(running_redis(binary, directory / "primary", *sync_at_once))
        replica = stack.enter_context(
            running_redis(
                binary,
                directory / "replica",
                *sync_at_once,
                *("--replicaof", f"127.0.0.1 {primary.port}"),
            )
        )
        until(lambda: _is_linked(replica), what="the replica")
        sentinels = []
        for i in range(count):
            sentinel = Sentinel(binary, directory / f"sentinel-{i}", primary, count // 2 + 1)
            stack.callback(sentinel.stop)
            sentinels.append(sentinel)
        for sentinel in sentinels:
            until(sentinel.speed_up, what="Sentinel")
            until(lambda s=sentinel: s.knows(replicas=1, sentinels=count), what="Sentinel")  # type: ignore[misc]
        yield SentinelSetup([primary, replica], sentinels)


def _is_linked(replica: RedisServer) -> bool:
    with contextlib.closing(replica.client()) as client:
        return bool(client.info("replication")["master_link_status"] == "up")
