"""``--workers``: one traffic port, one store, and an admin port for each worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.support.plain_http import fetch
from tests.support.ports import free_port, free_ports
from tests.support.processes import children_of
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, service_process
from tests.support.waiting import PATIENT_SECONDS
from tests.support.worker_services import (
    WorkerService,
    redis_servers_among,
    running_workers,
)

STEPS = 600
CLIENTS = 30
COUNTED = "http_server_request_duration_seconds_count{"


async def test_a_counter_is_exact_across_workers_that_share_the_load(
    redis_server: RedisServer,
) -> None:
    async with running_workers(
        KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0", KV_LOG_FORMAT="text"
    ) as service:
        values = await step_together(service)

        final = (await asyncio.to_thread(fetch, f"{service.base}/v1/counters/n")).json["value"]
        shares = [await asyncio.to_thread(steps_counted, base) for base in service.admin_bases]
        service.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0
        said = service.output()

    assert sorted(values) == list(range(1, STEPS + 1))
    assert final == STEPS
    # Each worker counts its own requests; the sum is all requests.
    assert sum(shares) == STEPS
    assert all(shares), shares
    assert "2 workers" in said
    assert all(base in said for base in (service.base, *service.admin_bases))


async def step_together(service: WorkerService) -> list[int]:
    url = f"{service.base}/v1/counters/n/increments"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:

        async def step() -> int:
            async with session.post(url) as answer:
                return int((await answer.json())["value"])

        return await asyncio.gather(*(step() for _ in range(STEPS)))


def steps_counted(admin_base: str) -> float:
    lines = fetch(f"{admin_base}/metrics").body.decode().splitlines()
    counts = [line for line in lines if line.startswith(COUNTED) and "/increments" in line]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


async def test_one_embedded_redis_serves_all_workers_and_outlives_a_restart(
    tmp_path: Path,
) -> None:
    data = {"KV_DATA_DIR": str(tmp_path / "data"), "KV_DRAIN_SECONDS": "0"}
    async with running_workers(2, **data) as service:
        children = children_of(service.pid)
        assert len(redis_servers_among(children)) == 1
        assert len(service.workers()) == 2
        assert len(children) == 3
        assert all(not redis_servers_among(children_of(pid)) for pid in service.workers())
        values = await step_together(service)
        status = await asyncio.to_thread(fetch, f"{service.admin_bases[1]}/statusz")
        service.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0
    assert sorted(values) == list(range(1, STEPS + 1))
    assert status.json["store"]["mode"] == "embedded"

    with service_process(**data) as alone:
        assert fetch(f"{alone.base}/v1/counters/n").json["value"] == STEPS


def test_one_worker_is_one_process_that_shares_its_port_with_nobody(tmp_path: Path) -> None:
    with service_process(
        KV_DATA_DIR=str(tmp_path / "data"), KV_WORKERS="1", KV_DRAIN_SECONDS="0"
    ) as service:
        children = children_of(service.pid)
        assert children == redis_servers_among(children)
        with socket.socket() as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                second.bind(("127.0.0.1", service.port))
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def refusal_of(**environ: str) -> str:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("KV_")}
    ended = subprocess.run(
        [sys.executable, "-m", "svc", "serve", "--workers", "2", "--host", "127.0.0.1"],
        cwd=ROOT,
        env={**clean, "KV_DRAIN_SECONDS": "0", **environ},
        capture_output=True,
        text=True,
        timeout=PATIENT_SECONDS,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("tallykv: ")]
    return line


async def test_a_port_that_others_share_already_is_refused(redis_server: RedisServer) -> None:
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service:
        line = await asyncio.to_thread(
            refusal_of,
            KV_STORE_URL=redis_server.url,
            KV_PORT=str(service.port),
            KV_ADMIN_PORT=str(free_ports(2)),
        )

    assert "KV_PORT" in line
    assert "in use" in line


def test_an_admin_port_in_use_is_named(redis_server: RedisServer) -> None:
    first = free_ports(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 1))
        taken.listen()
        line = refusal_of(
            KV_STORE_URL=redis_server.url, KV_PORT=str(free_port()), KV_ADMIN_PORT=str(first)
        )

    assert "KV_ADMIN_PORT" in line
    assert str(first + 1) in line


@pytest.mark.parametrize(
    ("admin_port", "port", "words"), [("65535", "0", "65535"), ("9000", "9001", "KV_PORT")]
)
def test_admin_ports_that_cant_be_are_refused(admin_port: str, port: str, words: str) -> None:
    line = refusal_of(KV_STORE_URL="redis://127.0.0.1:1", KV_ADMIN_PORT=admin_port, KV_PORT=port)

    assert line.startswith("tallykv: KV_ADMIN_PORT: ")
    assert words in line


def test_a_store_url_that_cant_be_used_is_said_once() -> None:
    line = refusal_of(KV_STORE_URL="ftp://x", KV_PORT="0", KV_ADMIN_PORT="0")

    assert "KV_STORE_URL" in line
