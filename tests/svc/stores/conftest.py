"""Fixtures of the embedded store's tests."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import need_redis_6, need_redis_7, need_valkey
from tests.support.ports import free_port
from tests.support.processes import children_of, is_running, name_of
from tests.support.services import ServiceProcess
from tests.support.waiting import until

#: Makes a service on the test's data directory, which is not started yet.
MakeService = Callable[..., ServiceProcess]


@pytest.fixture
def redis_path(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that makes a PATH with a server of the given release, or with none."""

    def path_with(release: str) -> str:
        directory = tmp_path / f"bin-{release}"
        directory.mkdir(exist_ok=True)
        if release != "none":
            need = {"6.2": need_redis_6, "7": need_redis_7, "valkey": need_valkey}[release]
            program = "valkey-server" if release == "valkey" else "redis-server"
            with contextlib.suppress(FileExistsError):
                (directory / program).symlink_to(need())
        return str(directory)

    return path_with


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Make services on one data directory. Stop each one and its redis-server at the end."""
    made: list[ServiceProcess] = []

    def make(**environ: str) -> ServiceProcess:
        service = ServiceProcess(
            {
                "KV_DATA_DIR": str(tmp_path / "data"),
                "KV_DRAIN_SECONDS": "0",
                # These tests are about results, not about their time.
                "KV_STORE_TIMEOUT_MS": "30000",
                **environ,
            }
        )
        made.append(service)
        return service

    yield make
    for service in made:
        running = service.process is not None and service.process.poll() is None
        servers = redis_servers_of(service) if running else []
        service.stop()
        until(lambda pids=servers: not any(map(is_running, pids)), what="redis-server")  # type: ignore[misc]


def redis_servers_of(service: ServiceProcess) -> list[int]:
    return [pid for pid in children_of(service.pid) if _is_server(pid)]


def _is_server(pid: int) -> bool:
    return name_of(pid).startswith(("redis-server", "valkey-server"))


def redis_server_of(service: ServiceProcess) -> int:
    (pid,) = until(lambda: redis_servers_of(service), what="redis-server")
    return pid


def aof_of(data: Path) -> Path:
    """Return the append-only file that grows."""
    found = sorted(data.glob("appendonlydir/*.incr.aof")) or [data / "appendonly.aof"]
    return found[-1]


def kill(service: ServiceProcess) -> None:
    """Kill it, and wait for the end of its Redis: that writes first what a slow disk held up."""
    assert service.process is not None
    children = children_of(service.process.pid)
    service.signal(signal.SIGKILL)
    service.wait()
    until(lambda: not any(map(is_running, children)), what="the end of Redis")


@dataclass
class TlsRedis:
    port: int
    authority: Path
    certificate: Path

    def url(self, **options: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://localhost:{self.port}?{query}"


def _need_tls() -> str:
    binary = need_redis_7()
    answer = subprocess.run(
        [binary, "--tls-port", "-1"], capture_output=True, text=True, check=False, timeout=60
    )
    if "Bad directive" in answer.stdout + answer.stderr:
        pytest.skip("needs a redis-server built with TLS (Debian package redis-server)")
    return binary


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[TlsRedis]:
    """A Redis that accepts only TLS with a client certificate."""
    with _running_tls_redis(tmp_path, "yes") as server:
        yield server


@pytest.fixture
def open_tls_redis(tmp_path: Path) -> Iterator[TlsRedis]:
    """A Redis that accepts only TLS, from clients without certificates too."""
    with _running_tls_redis(tmp_path, "no") as server:
        yield server


@contextlib.contextmanager
def _running_tls_redis(tmp_path: Path, auth_clients: str) -> Iterator[TlsRedis]:
    binary = _need_tls()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority_file, certificate_file = tmp_path / "ca.pem", tmp_path / "both.pem"
    authority.cert_pem.write_to_path(authority_file)
    certificate.private_key_and_cert_chain_pem.write_to_path(certificate_file)
    port = free_port()
    process = subprocess.Popen(
        [
            *(binary, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
            *("--tls-cert-file", str(certificate_file), "--tls-key-file", str(certificate_file)),
            *("--tls-ca-cert-file", str(authority_file), "--tls-auth-clients", auth_clients),
            *("--dir", str(tmp_path), "--save", "", "--logfile", str(tmp_path / "redis.log")),
        ],
        stdin=subprocess.DEVNULL,
    )
    try:
        until(lambda: _answers(port, authority_file, certificate_file), what="Redis with TLS")
        yield TlsRedis(port, authority_file, certificate_file)
    finally:
        process.kill()
        process.wait(60)


def _answers(port: int, authority: Path, certificate: Path) -> bool:
    options: dict[str, Any] = {
        "ssl_certfile": certificate,
        "ssl_keyfile": certificate,
        "retry": Retry(NoBackoff(), 0),
    }
    client = redis.Redis(
        host="localhost", port=port, ssl=True, ssl_ca_certs=str(authority), **options
    )
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()
