"""Long polls: answered when there is something new, or after the wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from svc.api.watchers import WATCHERS
from svc.settings import Settings
from tests.support.instrumented_service import instrumented_service, scrape
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.waiting import eventually

PATHS = ("/v1/kv/l", "/v1/counters/l")


async def put(service: Service, path: str, number: int) -> str:
    body: dict[str, Any] = {"json": {"value": number}} if "counters" in path else {"data": b"v"}
    async with service.put(path, **body) as response:
        assert response.status in {200, 201}
        return str(response.headers["ETag"])


def poll(service: Service, path: str, etag: str | None = None) -> Any:
    async def ask() -> tuple[int, str | None]:
        headers = {} if etag is None else {"If-None-Match": etag}
        async with service.get(f"{path}?wait=60s", headers=headers) as response:
            return response.status, response.headers.get("ETag")

    return asyncio.create_task(ask())


async def polls(service: Service) -> None:
    """Wait until a poll is under way."""
    await eventually(lambda: service.app[WATCHERS].count == 1, what="a poll")


@pytest.mark.parametrize("path", PATHS)
async def test_a_poll_is_answered_by_the_change(service: Service, path: str) -> None:
    etag = await put(service, path, 1)
    assert await poll(service, path) == (200, etag)
    assert await poll(service, path, '"other"') == (200, etag)

    changed = poll(service, path, etag)
    await polls(service)
    new = await put(service, path, 2)
    assert await changed == (200, new)

    deleted = poll(service, path, new)
    await polls(service)
    await service.delete(path)
    assert (await deleted)[0] == 404
    assert (await poll(service, path, new))[0] == 404

    created = poll(service, path)
    await polls(service)
    etag = await put(service, path, 3)
    assert await created == (200, etag)


async def test_a_poll_ends_after_its_wait(service: Service) -> None:
    etag = await put(service, "/v1/kv/l", 1)
    known = {"If-None-Match": etag}

    async with service.get("/v1/kv/l?wait=1", headers=known) as response:
        assert response.status == 304
        assert response.headers["ETag"] == etag
    async with service.get("/v1/counters/absent?wait=1s") as response:
        assert response.status == 404
    for wrong in ("61", "1m", "-1", "", "1&x=1"):
        async with service.get(f"/v1/kv/l?wait={wrong}") as response:
            assert response.status == 400, wrong


async def test_a_poll_takes_no_place_and_is_not_slow(service: Service) -> None:
    etag = await put(service, "/v1/kv/l", 1)
    polling = poll(service, "/v1/kv/l", etag)
    await polls(service)

    async def is_only_a_watch() -> bool:
        async with service.client.get(service.admin_base + "/metrics") as response:
            lines = (await response.text()).splitlines()
        return {"http_server_active_requests 0.0", "kv_watchers 1.0"} <= set(lines)

    # It reads what is there once more when the watch begins, as a request.
    await eventually(is_only_a_watch)
    await put(service, "/v1/kv/l", 2)
    await polling


@pytest.mark.parametrize("leaves", ["closes", "aborts"])
async def test_a_client_that_leaves_frees_its_place(shared_redis: RedisServer, leaves: str) -> None:
    """An end after the wait would not be counted as the client's."""
    settings = Settings(store_url=shared_redis.url, max_watchers=1)
    request = "GET /v1/kv/left?wait=60s HTTP/1.1\r\nHost: t\r\n\r\n"
    async with instrumented_service(settings) as service:
        for done in range(1, 4):
            async with raw_connection(service.port) as client:
                await client.send(request)
                await polls(service)
                if leaves == "aborts":
                    client.writer.transport.abort()
            await eventually(lambda: service.app[WATCHERS].count == 0, what="the end of the poll")
            shown = await scrape(service)
            assert shown.value("kv_watches_ended_total", reason="client_left") == done


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_only_closes_its_side_is_answered_at_once(
    shared_redis: RedisServer, path: str
) -> None:
    async with instrumented_service(Settings(store_url=shared_redis.url)) as service:
        etag = await put(service, path, 1)
        head = f"GET {path}?wait=60s HTTP/1.1\r\nHost: t\r\nIf-None-Match: {etag}\r\n\r\n"
        async with raw_connection(service.port) as client:
            await client.send(head)
            await polls(service)
            client.end()
            answer = await client.answer()
        shown = await scrape(service)

    assert (answer.status, answer.headers["ETag"]) == (304, etag)
    assert shown.value("kv_watches_ended_total", reason="client_left") == 1


async def test_a_client_that_closed_its_side_with_its_request_waits_for_nothing(
    shared_redis: RedisServer,
) -> None:
    async with instrumented_service(Settings(store_url=shared_redis.url)) as service:
        async with raw_connection(service.port) as client:
            await client.send("GET /v1/kv/left?wait=60s HTTP/1.1\r\nHost: t\r\n\r\n")
            client.end()
            assert (await client.answer()).status == 404
        shown = await scrape(service)

    assert shown.value("kv_watches_ended_total", reason="timeout") == 0
