"""Requests beyond KV_MAX_IN_FLIGHT: which wait for their turn, for how long, and what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Final

import pytest

from svc.api import middlewares
from svc.api.admission import ADMISSION
from svc.api.budget import BUDGET, RECEIVING_BYTES
from svc.api.context import LIFECYCLE, SIGNALS
from svc.settings import Settings
from tests.support.answers import ask, ask_admin
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

PATIENT_MS: Final = 60_000
KIB: Final = 1024
MIB: Final = KIB * KIB
INCREMENT: Final = "POST /v1/counters/n/increments HTTP/1.1\r\nHost: t\r\n\r\n"


def serving(redis: RedisServer, **settings: Any) -> contextlib.AbstractAsyncContextManager[Service]:
    chosen = {"queue_ms": PATIENT_MS, "store_timeout_ms": PATIENT_MS, "max_in_flight": 1}
    return running_service(Settings(store_url=redis.url, **{**chosen, **settings}))


async def queue(
    stack: contextlib.AsyncExitStack, service: Service, *requests: str
) -> list[RawConnection]:
    """Send each request on a connection of its own, once the one before is served or waits."""
    lifecycle, wires = service.app[LIFECYCLE], []
    for request in requests:
        before = lifecycle.active
        wire = await stack.enter_async_context(raw_connection(service.port))
        await wire.send(request)
        await eventually(lambda n=before + 1: lifecycle.active == n, what="its arrival")  # type: ignore[misc]
        wires.append(wire)
    return wires


def reset(wire: RawConnection) -> None:
    """Leave with a reset. After a mere end of its bytes a client still gets its answer."""
    socket = wire.writer.get_extra_info("socket")
    socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    wire.writer.transport.abort()


async def test_a_burst_of_far_more_than_are_served_at_once_is_answered(
    redis_server: RedisServer,
) -> None:
    burst, places = 400, 8
    async with (
        serving(redis_server, max_in_flight=places) as service,
        contextlib.AsyncExitStack() as stack,
    ):
        wires = [
            await stack.enter_async_context(raw_connection(service.port)) for _ in range(burst)
        ]
        lifecycle = service.app[LIFECYCLE]
        with redis_server.stopped():
            for wire in wires:
                await wire.send(INCREMENT)
            await eventually(lambda: lifecycle.waiting == burst - places, what="the queue")
            assert lifecycle.in_flight == places
            assert service.app[BUDGET].held < burst * 2 * RECEIVING_BYTES

        values = {(await wire.answer()).json["value"] for wire in wires}

        assert values == set(range(1, burst + 1))
        await eventually(lambda: not lifecycle.active, what="the end of all")
        assert service.app[BUDGET].held == 0


async def test_they_are_served_in_the_order_of_their_arrival(redis_server: RedisServer) -> None:
    async with serving(redis_server) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            wires = await queue(stack, service, *[INCREMENT] * 6)

        values = [(await wire.answer()).json["value"] for wire in wires]

    assert values == [1, 2, 3, 4, 5, 6]


async def test_the_wait_counts_as_time_of_the_request(redis_server: RedisServer) -> None:
    loop = asyncio.get_running_loop()
    async with serving(redis_server) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            wires = await queue(stack, service, INCREMENT, INCREMENT)
            began = loop.time()
            await eventually(lambda: loop.time() > began + 0.1)
        for wire in wires:
            assert (await wire.answer()).status == 200

        seconds = service.app[SIGNALS].metrics.requests[
            "POST", "/v1/counters/{name}/increments", "200"
        ]
        assert seconds._sum > 0.2


async def test_whoever_waits_for_too_long_is_refused_and_changes_nothing(
    redis_server: RedisServer,
) -> None:
    async with serving(redis_server, queue_ms=500) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            served, late = await queue(stack, service, INCREMENT, INCREMENT)

            refused = await late.answer()
            assert (refused.status, refused.json["code"]) == (503, "overloaded")
            assert refused.headers["Retry-After"] == "1"

        assert (await served.answer()).json["value"] == 1
        assert (await ask(service, "GET", "/v1/counters/n")).json["value"] == 1
        assert service.app[SIGNALS].metrics.rejected["overloaded",] == 1


async def test_whoever_leaves_meanwhile_is_not_served(redis_server: RedisServer) -> None:
    async with serving(redis_server) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            wires = await queue(stack, service, *[INCREMENT] * 3)
            reset(wires[1])
            # A client that came later was heard, so the end of that one was, too.
            assert (await ask_admin(service, "/livez")).status == 200

        assert (await wires[0].answer()).json["value"] == 1
        assert (await wires[2].answer()).json["value"] == 2
        assert service.app[LIFECYCLE].active == 0


async def test_a_body_is_not_read_while_its_request_waits(redis_server: RedisServer) -> None:
    body = bytes(range(256)) * (MIB // 256)
    upload = f"PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: {MIB}\r\n\r\n"
    async with serving(redis_server) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            _, wire = await queue(stack, service, INCREMENT, upload)
            sending = asyncio.create_task(wire.send(body))
            held = service.app[BUDGET].held
            assert RECEIVING_BYTES <= held < MIB // 2

        await sending
        assert (await wire.answer()).status == 201
        assert (await ask(service, "GET", "/v1/kv/k")).body == body
        assert service.app[BUDGET].held == 0


async def test_the_byte_budget_bounds_the_queue(redis_server: RedisServer) -> None:
    room = 64 * KIB
    limits = {"max_buffered_bytes": room, "max_value_bytes": KIB, "max_batch_bytes": KIB}
    async with serving(redis_server, **limits) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            # One is served, and each that waits takes a little more for its head.
            fitting = await queue(stack, service, *[INCREMENT] * (room // RECEIVING_BYTES))
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send(INCREMENT)

            assert (await wire.answer()).status == 503
            assert service.app[BUDGET].held <= room
            assert service.app[LIFECYCLE].active == len(fitting)

        assert [(await each.answer()).status for each in fitting] == [200] * len(fitting)


async def test_of_a_load_that_lasts_most_are_refused_at_once(redis_server: RedisServer) -> None:
    async with (
        serving(redis_server, queue_ms=400) as service,
        contextlib.AsyncExitStack() as stack,
    ):
        admission = service.app[ADMISSION]

        async def insist() -> None:
            async with raw_connection(service.port) as wire:
                while True:
                    await wire.send(INCREMENT)
                    await wire.answer()

        async def lasts() -> bool:
            if len(load) < 100:
                load.append(asyncio.create_task(insist()))
            return bool(admission.queue) and admission.refuses()

        load: list[asyncio.Task[None]] = []
        with redis_server.stopped():
            await eventually(lasts, what="a queue that lasts")
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send(INCREMENT)
            assert (await wire.answer()).status == 503
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
        await eventually(lambda: not service.app[LIFECYCLE].active, what="the end of the load")
        assert not admission.refuses()
        assert (await ask(service, "POST", "/v1/counters/n/increments")).status == 200


@pytest.mark.parametrize("telemetry", [True, False])
async def test_a_refusal_of_prepared_bytes_is_the_one_of_the_application(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, telemetry: bool
) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    rest = f"Host: t\r\ntraceparent: {parent}\r\nX-Request-Id: mine\r\n"
    usual = f"PUT /v1/kv/%61 HTTP/1.1\r\n{rest}Content-Length: 3\r\n\r\nabc"
    common = [
        f"PUT /v1/kv/a HTTP/1.1\r\n{rest}Content-Length: 3\r\n\r\nabc",
        f"GET /v1/kv/a?if=b HTTP/1.1\r\n{rest}\r\n",
        f"GET /v1/limits HTTP/1.1\r\n{rest}\r\n",
        f"POST /v1/counters/n/increments HTTP/1.1\r\n{rest}\r\n",
    ]
    settings = {"queue_ms": 0, "telemetry": telemetry}
    async with serving(redis_server, **settings) as service, contextlib.AsyncExitStack() as stack:
        with redis_server.stopped():
            await queue(stack, service, INCREMENT)
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send(usual)
            expected = await wire.answer()
            if telemetry:  # otherwise the application would answer, for an access line
                monkeypatch.setattr(service.app[SIGNALS].requests._lines, "take", lambda: False)
            monkeypatch.setattr(middlewares, "render_domain_error", None)

            for request in common:
                await wire.send(request)
                answer = await wire.answer()
                for each in (expected, answer):
                    each.headers.pop("Date", None)
                assert answer == expected
            monkeypatch.undo()
            metrics = service.app[SIGNALS].metrics
            assert metrics.rejected["overloaded",] == (len(common) + 1) * telemetry
            refused = {
                f"{method} {route}": seconds.count
                for (method, route, status), seconds in metrics.requests.items()
                if status == "503"
            }
            counted = {
                "PUT /v1/kv/{key}": 2,
                "GET /v1/kv/{key}": 1,
                "GET /v1/limits": 1,
                "POST /v1/counters/{name}/increments": 1,
            }
            assert refused == (counted if telemetry else {})
