"""What signals mean: the first is the order, its echo is the same order, a later one hastens."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from svc.serving.stop_order import SAME_ORDER_SECONDS
from tests.support.plain_http import fetch
from tests.support.processes import children_of, is_running
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, ServiceProcess, service_process
from tests.support.waiting import eventually
from tests.support.worker_services import running_workers

#: Long enough that a process which ends within ENDS_SECONDS has not drained.
LONG: Final = "300"
ENDS_SECONDS: Final = 60.0
GET: Final = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n"


@asynccontextmanager
async def unprobed(server: RedisServer, drain_seconds: str) -> AsyncIterator[ServiceProcess]:
    """Start a service, and ask it until it answers, but never /readyz."""
    service = ServiceProcess({"KV_STORE_URL": server.url, "KV_DRAIN_SECONDS": drain_seconds})
    try:
        service.start(wait=False)
        await eventually(lambda: _serves(service), what="the service")
        yield service
    finally:
        service.stop()


async def _serves(service: ServiceProcess) -> bool:
    try:
        status = (await asyncio.to_thread(fetch, f"{service.base}/v1/limits")).status
    except OSError:
        return False
    return status == 200


async def ended(service: ServiceProcess) -> int:
    return await asyncio.to_thread(service.wait, ENDS_SECONDS)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_at_once_is_the_same_order(
    redis_server: RedisServer, second: signal.Signals
) -> None:
    with service_process(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="2") as service:
        signalled = time.monotonic()
        service.signal(signal.SIGTERM)
        service.signal(second)
        service.signal(second)

        code = service.wait(ENDS_SECONDS)

    assert code == 0
    assert time.monotonic() - signalled >= 2


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_later_signal_ends_it_at_once(
    redis_server: RedisServer, second: signal.Signals
) -> None:
    with service_process(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS=LONG) as service:
        service.signal(signal.SIGTERM)
        await asyncio.sleep(SAME_ORDER_SECONDS)

        # Until it is one: a busy machine may have read the first signal late.
        def is_ended() -> bool:
            if is_running(service.pid):
                service.signal(second)
            return not is_running(service.pid)

        await eventually(is_ended, seconds=ENDS_SECONDS, what="the end")

        assert service.wait() == 128 + second


async def test_two_signals_to_the_whole_process_group_drain_the_workers(
    redis_server: RedisServer,
) -> None:
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="2") as service:
        # Found before: they must come within SAME_ORDER_SECONDS.
        group = (service.pid, *service.workers())
        signalled = time.monotonic()
        for pid in group * 2:
            os.kill(pid, signal.SIGTERM)

        assert await ended(service) == 0
        assert time.monotonic() - signalled >= 2


async def test_ctrl_c_ends_an_idle_service_that_nobody_probes_at_once(
    redis_server: RedisServer,
) -> None:
    async with unprobed(redis_server, LONG) as service, raw_connection(service.port) as wire:
        await wire.send(GET)
        await wire.answer()

        service.signal(signal.SIGINT)

        assert await ended(service) == 0
        assert await wire.closed()


async def test_sigterm_drains_a_service_that_nobody_has_probed_yet(
    redis_server: RedisServer,
) -> None:
    async with unprobed(redis_server, "2") as service:
        signalled = time.monotonic()
        service.signal(signal.SIGTERM)

        assert await ended(service) == 0
        assert time.monotonic() - signalled >= 2


async def test_ctrl_c_drains_a_service_that_somebody_probes(redis_server: RedisServer) -> None:
    async with unprobed(redis_server, "2") as service:
        await asyncio.to_thread(fetch, f"{service.admin_base}/readyz")
        signalled = time.monotonic()
        service.signal(signal.SIGINT)

        assert await ended(service) == 0
        assert time.monotonic() - signalled >= 2


async def test_ctrl_c_drains_while_a_request_is_under_way(redis_server: RedisServer) -> None:
    async with unprobed(redis_server, "2") as service, raw_connection(service.port) as wire:
        await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n")
        await wire.send("Content-Length: 10\r\n\r\nfirst")
        status = f"{service.admin_base}/statusz"

        async def is_under_way() -> bool:
            return bool((await asyncio.to_thread(fetch, status)).json["in_flight"])

        await eventually(is_under_way, what="the upload")
        signalled = time.monotonic()
        service.signal(signal.SIGINT)

        async def drains() -> bool:
            return bool((await asyncio.to_thread(fetch, status)).json["draining"])

        await eventually(drains, what="the drain")
        await wire.send("after")

        assert (await wire.answer()).status == 201
        assert await ended(service) == 0
        assert time.monotonic() - signalled >= 2


def test_ctrl_c_on_a_terminal_ends_workers_that_nobody_probes_at_once(
    redis_server: RedisServer,
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *("setsid", "--ctty"),  # makes the terminal the controlling one: Ctrl-C is a signal
            *(sys.executable, "-m", "svc", "serve"),
            *("--workers=2", "--port=0", "--admin-port=0"),
        ],
        cwd=ROOT,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("KV_")},
            "KV_HOST": "127.0.0.1",
            "KV_STORE_URL": redis_server.url,
            "KV_DRAIN_SECONDS": LONG,
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        os.close(theirs)
        said = b""
        while b"try:" not in said:
            said += os.read(ours, 4096)
        workers = children_of(process.pid)

        os.write(ours, b"\x03")

        assert process.wait(ENDS_SECONDS) == 0
        assert len(workers) == 2
        assert not any(map(is_running, workers))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
