"""Watches end with a reason: slow clients, the drain, tokens; and there are only so many."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from svc.api.budget import BUDGET
from svc.api.context import LIFECYCLE
from svc.api.watchers import WATCHERS
from svc.settings import Settings
from tests.support.event_streams import Watch, watching
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.tokens import bearer, write_tokens
from tests.support.waiting import eventually

EVENTS = {"Accept": "text/event-stream"}


@contextlib.asynccontextmanager
async def serving(shared_redis: RedisServer, **settings: object) -> AsyncIterator[Service]:
    shared_redis.client().flushall()
    known = Settings(store_url=shared_redis.url, **settings)  # type: ignore[arg-type]
    async with running_service(known) as service:
        yield service


def watch(
    service: Service, path: str, token: str = ""
) -> contextlib.AbstractAsyncContextManager[Watch]:
    return watching(service.client, service.url(path), bearer(token) if token else {})


async def metric(service: Service, line: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.get(service.admin_base + "/metrics") as r,
    ):
        found = [each for each in (await r.text()).splitlines() if each.startswith(line + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def test_there_are_only_so_many_watchers(shared_redis: RedisServer) -> None:
    async with serving(shared_redis, max_watchers=2) as service:
        async with watch(service, "/v1/kv/a"), watch(service, "/v1/counters?prefix="):
            for path in ("/v1/kv/a", "/v1/kv/a?wait=9"):
                async with service.get(path, headers=EVENTS if "?" not in path else {}) as refused:
                    assert refused.status == 503
                    assert refused.headers["Retry-After"] == "1"
                    assert (await refused.json())["code"] == "too_many_watchers"
        await eventually(lambda: service.app[WATCHERS].count == 0, what="the end of both")
        async with watch(service, "/v1/kv/a") as told:
            await told.until(lambda w: w.is_synced)
        assert await metric(service, 'kv_requests_rejected_total{reason="too_many_watchers"}') == 2


async def test_watches_are_neither_in_flight_nor_slow_requests(shared_redis: RedisServer) -> None:
    async with (
        serving(shared_redis, max_in_flight=1) as service,
        watch(service, "/v1/kv/a") as one,
        watch(service, "/v1/kv?prefix=") as two,
    ):
        for told in (one, two):
            await told.until(lambda w: w.is_synced)
        assert service.app[LIFECYCLE].active == 0
        async with service.get("/v1/kv/a") as response:
            assert response.status == 404
        # Counted when they began, with the time that took.
        count = (
            "http_server_request_duration_seconds_count"
            '{http_request_method="GET",http_response_status_code="200",http_route="%s"}'
        )
        assert await metric(service, count % "/v1/kv") == 1
        assert await metric(service, count % "/v1/kv/{key}") == 1


async def test_a_client_that_leaves_is_noticed_and_holds_nothing(
    shared_redis: RedisServer,
) -> None:
    async with serving(shared_redis) as service:
        async with watch(service, "/v1/kv?prefix=&include=value") as told:
            await service.put("/v1/kv/a", data=b"x" * 10_000)
            await told.until(lambda w: "a" in w.state)
        # Nothing more happens that could be told.
        await eventually(lambda: service.app[WATCHERS].count == 0, what="the end")
        assert service.app[BUDGET].held == 0
        assert await metric(service, 'kv_watches_ended_total{reason="client_left"}') == 1


async def test_a_client_that_does_not_read_is_closed_and_others_are_told(
    shared_redis: RedisServer,
) -> None:
    async with serving(shared_redis, max_watcher_bytes=262_144) as service:
        with contextlib.ExitStack() as sockets:
            value = os.urandom(800).hex()

            async def write() -> float:
                # On a busy machine a watch may end because the store was late, as others do.
                if service.app[WATCHERS].count == 0:
                    slow = sockets.enter_context(contextlib.closing(socket.socket()))
                    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    slow.connect(("127.0.0.1", service.port))
                    slow.sendall(
                        b"GET /v1/kv?prefix=s/&include=value HTTP/1.1\r\n"
                        b"Host: t\r\nAccept: text/event-stream\r\n\r\n"
                    )
                    await eventually(lambda: service.app[WATCHERS].count == 1, what="the watch")
                operations = [
                    {"op": "put", "key": f"s/{number}", "value": value} for number in range(500)
                ]
                await service.post("/v1/batch", json={"operations": operations})
                return await metric(service, 'kv_watches_ended_total{reason="slow"}')

            await eventually(write, what="the end of the slow one")
            assert service.app[BUDGET].held < 262_144
            async with watch(service, "/v1/kv?prefix=s/") as told:
                await told.until(lambda w: len(w.state) == 500)


async def test_a_drain_says_goodbye(shared_redis: RedisServer) -> None:
    async with (
        serving(shared_redis) as service,
        watch(service, "/v1/kv/a") as one,
        watch(service, "/v1/kv?prefix=") as two,
    ):
        for told in (one, two):
            await told.until(lambda w: w.is_synced)
        service.app[LIFECYCLE].draining = True
        service.app[WATCHERS].drain(0)
        async with watch(service, "/v1/kv/late") as late:
            for told in (one, two, late):
                await told.over()
                assert told.events[-1].name == "goodbye"
                assert told.events[-1].data == {"reason": "draining"}


async def test_what_is_open_at_the_shutdown_is_told_so(shared_redis: RedisServer) -> None:
    async with aiohttp.ClientSession() as client, contextlib.AsyncExitStack() as stack:
        async with serving(shared_redis) as service:
            told = await stack.enter_async_context(watching(client, service.url("/v1/kv/a")))
            await told.until(lambda w: w.is_synced)
        await told.over()
        assert told.events[-1].name == "goodbye"


@pytest.fixture
async def guarded(shared_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Service]:
    tokens = write_tokens(
        tmp_path / "tokens",
        {
            "all": "read,write,delete",
            "team": "read keys=team/,shared/ counters=team:",
            "writer": "write",
            "gone": "read",
        },
    )
    async with serving(shared_redis, tokens_file=tokens, max_watchers_per_token=3) as service:
        yield service


async def test_a_token_is_told_what_it_may_read(guarded: Service) -> None:
    for path in ("/v1/kv/other", "/v1/kv?prefix=other", "/v1/counters/x", "/v1/counters?prefix=x"):
        async with guarded.get(path, headers={**EVENTS, **bearer("team")}) as response:
            assert response.status == 403
    async with guarded.get("/v1/kv/a", headers={**EVENTS, **bearer("writer")}) as response:
        assert response.status == 403
    async with guarded.get("/v1/kv/a", headers=EVENTS) as response:
        assert response.status == 401

    async with (
        watch(guarded, "/v1/kv?prefix=", "team") as team,
        watch(guarded, "/v1/kv?prefix=team/a", "team") as narrow,
        watch(guarded, "/v1/kv?prefix=", "all") as everybody,
    ):
        keys = ("team/a", "other/b", "shared/c", "teams")
        for key in keys:
            await guarded.put(f"/v1/kv/{key}", data=b"v", headers=bearer("all"))
        await everybody.until(lambda w: set(w.state) == set(keys))
        await team.until(lambda w: set(w.state) == {"team/a", "shared/c"})
        await narrow.until(lambda w: set(w.state) == {"team/a"})

        async with watch(guarded, "/v1/kv?prefix=", "team") as fresh:
            await fresh.until(lambda w: set(w.state) == {"team/a", "shared/c"})
            async with guarded.get("/v1/kv/team/a", headers={**EVENTS, **bearer("team")}) as fourth:
                assert fourth.status == 503


async def test_a_token_that_is_revoked_or_changed_ends_its_watches(guarded: Service) -> None:
    async with (
        watch(guarded, "/v1/kv?prefix=", "gone") as gone,
        watch(guarded, "/v1/kv/shared/x", "team") as changed,
        watch(guarded, "/v1/kv?prefix=", "all") as kept,
    ):
        for told in (gone, changed, kept):
            await told.until(lambda w: w.is_synced)
        assert guarded.settings.tokens_file is not None
        write_tokens(
            guarded.settings.tokens_file, {"all": "read,write,delete", "team": "read keys=team/"}
        )

        for told in (gone, changed):
            await told.over()
            assert told.events[-1].data == {"reason": "expired_token"}
        await guarded.put("/v1/kv/shared/x", data=b"v", headers=bearer("all"))
        await kept.until(lambda w: "shared/x" in w.state)
        assert "entry" not in gone.names + changed.names


async def test_pages_of_listed_origins_may_watch(shared_redis: RedisServer) -> None:
    origin = "https://app.example.com"
    async with serving(shared_redis, cors_origins=frozenset({origin})) as service:
        headers = {**EVENTS, "Origin": origin}
        async with service.get("/v1/kv/a", headers=headers) as response:
            assert response.headers["Access-Control-Allow-Origin"] == origin
            await asyncio.wait_for(response.content.readuntil(b"\n\n"), 60)
