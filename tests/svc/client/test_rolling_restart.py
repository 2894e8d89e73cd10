"""A program with a client rides through a rolling restart: nothing lost, nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from svc.client import Counted
from tests.support.balancer import Balancer, running_balancer
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess
from tests.support.sizes import size
from tests.support.waiting import eventually
from tests.svc.client.clients import open_client

ROUNDS: Final = size(1, long=5)
WRITERS: Final = 4
HOW: Final = (signal.SIGTERM, signal.SIGKILL)


@contextlib.asynccontextmanager
async def two_services(redis: RedisServer) -> AsyncIterator[list[ServiceProcess]]:
    environ = {"KV_STORE_URL": redis.url, "KV_DRAIN_SECONDS": "0.2", "KV_SHUTDOWN_SECONDS": "30"}
    services = [ServiceProcess(environ) for _ in range(2)]
    try:
        for service in services:
            service.start(wait=False)
        for service in services:
            await asyncio.to_thread(service.wait_ready)
        yield services
    finally:
        for service in services:
            await asyncio.to_thread(service.stop)


async def restart(service: ServiceProcess, how: signal.Signals) -> None:
    service.signal(how)
    await asyncio.to_thread(service.wait)
    service.stop()
    service.start(wait=False)
    await asyncio.to_thread(service.wait_ready)


class Program:
    """Writers that count and swap until they are told to stop."""

    def __init__(self, kv: Any) -> None:
        self._kv = kv
        self._is_stopped = False
        self.steps = 0
        self.running = WRITERS

    async def write(self) -> None:
        while not self._is_stopped:
            await self._kv.increment("n")
            await self._kv.update("swapped", lambda entry: 1 + (entry.json() if entry else 0))
            self.steps += 1
        self.running -= 1

    async def more(self, count: int = 2 * WRITERS) -> None:
        wanted = self.steps + count
        await eventually(lambda: self.steps >= wanted, what="further steps")

    def stop(self) -> None:
        self._is_stopped = True


async def watch(kv: Any, values: list[int]) -> None:
    async for event in kv.client.watch_counter("n"):
        match event:
            case Counted(_, value):
                values.append(value)


@pytest.fixture
async def balancer(
    shared_redis: RedisServer,
) -> AsyncIterator[tuple[Balancer, list[ServiceProcess]]]:
    shared_redis.client().flushall()
    async with (
        two_services(shared_redis) as services,
        running_balancer([service.port for service in services]) as balancer,
    ):
        yield balancer, services


async def test_a_program_does_not_notice_that_both_processes_are_replaced(
    balancer: tuple[Balancer, list[ServiceProcess]],
) -> None:
    front, services = balancer
    async with open_client("awaiting", front.base) as kv, asyncio.TaskGroup() as group:
        program = Program(kv)
        watched: list[int] = []
        watching = group.create_task(watch(kv, watched))
        for _ in range(WRITERS):
            group.create_task(program.write())
        try:
            for number in range(2 * ROUNDS):
                await program.more()
                # One drains, the other is killed.
                await restart(services[number % 2], HOW[number % 2])
            await program.more()
        finally:
            program.stop()
        await eventually(lambda: program.running == 0, what="the writers' end")
        await eventually(lambda: watched[-1:] == [program.steps], what="the watch's last value")
        watching.cancel()

    assert watched == sorted(watched)
    async with open_client("awaiting", front.base) as kv:
        assert (await kv.get_counter("n")).value == program.steps
        assert (await kv.get("swapped")).json() == program.steps
    assert all(front.dealt.values())
