"""From SIGTERM to exit code 0: not ready at once, still serving, then finishing requests."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.support.plain_http import PlainAnswer, fetch
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess, service_process
from tests.support.waiting import eventually

#: Long enough for what is done meanwhile on a busy machine.
DRAIN_SECONDS = 12.0
UPLOAD = "PUT /v1/kv/upload HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def service_on(server: RedisServer, **environ: str) -> AsyncIterator[ServiceProcess]:
    """Start a service without blocking this event loop."""
    settings = {
        "KV_STORE_URL": server.url,
        "KV_DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
        # What a test ends after the drain, it ends before this on a busy machine, too.
        "KV_SHUTDOWN_SECONDS": "60",
        **environ,
    }
    running = service_process(**settings)
    service = await asyncio.to_thread(running.__enter__)
    try:
        yield service
    finally:
        running.__exit__(None, None, None)


async def ask(url: str, method: str = "GET", body: bytes | None = None) -> PlainAnswer:
    return await asyncio.to_thread(fetch, url, method, body)


async def readiness(service: ServiceProcess) -> int:
    return (await ask(f"{service.admin_base}/readyz")).status


async def begin_to_drain(service: ServiceProcess) -> None:
    service.signal(signal.SIGTERM)

    async def is_not_ready() -> bool:
        return await readiness(service) == 503

    await eventually(is_not_ready, seconds=0.9 * DRAIN_SECONDS, what="not ready")


async def refuses(port: int) -> bool:
    try:
        async with raw_connection(port):
            return False
    except ConnectionError:  # refused, or reset while the listener closed
        return True


async def ended(service: ServiceProcess, seconds: float = 60.0) -> int:
    return await asyncio.to_thread(service.wait, seconds)


async def begin_upload(wire: RawConnection) -> None:
    await wire.send(UPLOAD, "Content-Length: 10\r\n\r\n", "first")


GET = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n"


async def test_while_draining_it_is_not_ready_and_still_serves(redis_server: RedisServer) -> None:
    async with service_on(redis_server) as service:
        signalled = time.monotonic()
        await begin_to_drain(service)

        written = await ask(f"{service.base}/v1/kv/k", "PUT", b"v")
        missing = await ask(f"{service.base}/v1/kv/none")
        live = await ask(f"{service.admin_base}/livez")
        status = await ask(f"{service.admin_base}/statusz")
        assert await ended(service) == 0
        took = time.monotonic() - signalled

    assert (written.status, missing.status, live.status) == (201, 404, 200)
    assert (status.json["status"], status.json["draining"]) == ("draining", True)
    assert DRAIN_SECONDS <= took < DRAIN_SECONDS + 20


async def test_while_draining_every_answer_says_that_its_connection_closes(
    redis_server: RedisServer,
) -> None:
    async with service_on(redis_server) as service, raw_connection(service.port) as wire:
        await wire.send(GET)
        assert "Connection" not in (await wire.answer()).headers
        await begin_to_drain(service)

        await wire.send(GET)
        assert (await wire.answer()).headers["Connection"] == "close"
        assert await wire.closed()
        for request in (
            GET.replace("limits", "nothing"),
            GET.replace("GET", "PURGE"),
            GET.replace("limits", "kv/none"),
            GET.replace("/v1/limits", "/"),
        ):
            async with raw_connection(service.port) as another:
                await another.send(request)
                assert (await another.answer()).headers["Connection"] == "close", request


async def test_an_upload_that_ends_during_the_drain_is_stored(redis_server: RedisServer) -> None:
    async with service_on(redis_server) as service, raw_connection(service.port) as wire:
        await begin_upload(wire)
        await begin_to_drain(service)

        await wire.send("after")

        assert (await wire.answer()).status == 201
        assert await ended(service) == 0


async def test_an_upload_that_ends_after_the_drain_is_stored(redis_server: RedisServer) -> None:
    async with service_on(redis_server, KV_DRAIN_SECONDS="0") as service:
        async with raw_connection(service.port) as wire:
            await begin_upload(wire)
            await eventually(lambda: has_in_flight(service), what="the upload")
            service.signal(signal.SIGTERM)
            await eventually(lambda: refuses(service.port), what="the end of listening")

            await wire.send("after")
            answer = await wire.answer()

        assert answer.status == 201
        assert answer.headers["Connection"] == "close"
        assert await ended(service) == 0


async def test_what_waits_for_its_turn_is_answered_after_the_drain(
    redis_server: RedisServer,
) -> None:
    limits = {"KV_MAX_IN_FLIGHT": "1", "KV_QUEUE_MS": "60000", "KV_DRAIN_SECONDS": "0"}
    waiting = 4
    async with service_on(redis_server, **limits) as service, AsyncExitStack() as stack:
        wires = [
            await stack.enter_async_context(raw_connection(service.port)) for _ in range(waiting)
        ]
        redis_server.signal(signal.SIGSTOP)
        for wire in wires:
            await wire.send("POST /v1/counters/n/increments HTTP/1.1\r\nHost: t\r\n\r\n")

        async def all_arrived() -> bool:  # /statusz would ask the store
            metrics = (await ask(f"{service.admin_base}/metrics")).body.decode()
            return f"\nhttp_server_active_requests {waiting}.0\n" in metrics

        await eventually(all_arrived, what="the requests")
        service.signal(signal.SIGTERM)
        await eventually(lambda: refuses(service.port), what="the end of listening")

        redis_server.signal(signal.SIGCONT)

        values = {(await wire.answer()).json["value"] for wire in wires}
        assert values == set(range(1, waiting + 1))
        assert await ended(service) == 0


async def test_a_slow_answer_and_the_probes_outlast_the_end_of_listening(
    redis_server: RedisServer,
) -> None:
    # Long enough for all that is asked meanwhile.
    slow = {"KV_FAULT_LATENCY_MS": "12000", "KV_DRAIN_SECONDS": "0"}
    async with service_on(redis_server, **slow) as service, raw_connection(service.port) as wire:
        await wire.send(GET)
        await eventually(lambda: has_in_flight(service), what="the request")
        service.signal(signal.SIGTERM)
        await eventually(lambda: refuses(service.port), what="the end of listening")

        assert await readiness(service) == 503
        assert (await ask(f"{service.admin_base}/livez")).status == 200
        answer = await wire.answer()

        assert answer.status == 200
        assert answer.headers["Connection"] == "close"
        assert await ended(service) == 0


async def has_in_flight(service: ServiceProcess) -> bool:
    return bool((await ask(f"{service.admin_base}/statusz")).json["in_flight"] == 1)


async def test_a_request_that_does_not_end_is_given_up_after_the_shutdown_time(
    redis_server: RedisServer,
) -> None:
    limited = {"KV_SHUTDOWN_SECONDS": "0.5", "KV_DRAIN_SECONDS": "0"}
    async with service_on(redis_server, **limited) as service, raw_connection(service.port) as wire:
        await begin_upload(wire)
        service.signal(signal.SIGTERM)

        assert await wire.closed()
        assert await ended(service) == 0


async def test_idle_connections_do_not_hold_the_end_up(redis_server: RedisServer) -> None:
    async with (
        service_on(redis_server, KV_DRAIN_SECONDS="0") as service,
        raw_connection(service.port) as fresh,
        raw_connection(service.port) as used,
    ):
        await used.send(GET)
        await used.answer()
        service.signal(signal.SIGTERM)

        assert await ended(service) == 0
        assert await fresh.closed()
        assert await used.closed()
