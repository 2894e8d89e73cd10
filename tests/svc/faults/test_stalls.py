"""The service itself is stopped for longer than it waits for the store, and goes on (SIGSTOP)."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp

from tests.support.redis_servers import RedisServer
from tests.support.services import service_process
from tests.support.waiting import eventually

#: More than a busy machine takes until all requests are under way.
TIMEOUT_SECONDS = 8
CHANGES = [("PUT", "/v1/kv/k"), ("POST", "/v1/counters/n/increments"), ("PATCH", "/v1/kv/doc")]
READS = [("GET", "/v1/kv/k"), ("GET", "/v1/counters/n")]


async def test_what_the_store_answered_meanwhile_is_no_failure(redis_server: RedisServer) -> None:
    settings = {
        "KV_STORE_URL": redis_server.url,
        "KV_STORE_TIMEOUT_MS": str(TIMEOUT_SECONDS * 1000),
    }
    with service_process(**settings) as service:
        async with aiohttp.ClientSession(service.base) as session:

            async def ask(method: str, path: str) -> int:
                options: dict[str, Any] = {}
                if path == "/v1/kv/doc":
                    kind = "application/json" if method == "PUT" else "application/merge-patch+json"
                    options = {"data": b"{}", "headers": {"Content-Type": kind}}
                async with session.request(method, path, **options) as answer:
                    return answer.status

            async def waiting(count: int) -> bool:
                async with session.get(f"{service.admin_base}/metrics") as answer:
                    return f"http_server_active_requests {count}.0" in await answer.text()

            for method, path in (("PUT", "/v1/kv/doc"), *CHANGES):
                assert await ask(method, path) in {200, 201}

            redis_server.signal(signal.SIGSTOP)
            asked = [asyncio.create_task(ask(*each)) for each in [*CHANGES, *READS] * 4]
            await eventually(lambda: waiting(len(asked)), what="requests under way")
            service.signal(signal.SIGSTOP)
            redis_server.signal(signal.SIGCONT)
            # How long it is stopped is what this is about.
            await asyncio.sleep(1.5 * TIMEOUT_SECONDS)
            service.signal(signal.SIGCONT)

            answered = zip([*CHANGES, *READS] * 4, await asyncio.gather(*asked), strict=True)
            assert [each for each in answered if each[1] != 200] == []
            assert not await waiting(1)
