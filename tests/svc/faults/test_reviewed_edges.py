"""Faults that were found by a code review."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import pytest

from svc.settings import Settings
from tests.support.answers import insist, put
from tests.support.redis_servers import RedisServer
from tests.support.services import running_service
from tests.svc.faults.conftest import HASTY_MS

COUNTER = "ct:{%03x}:foreign"


@pytest.mark.usefixtures("rarely_checked")
async def test_a_batch_of_many_groups_on_a_stalled_store_ends_after_the_first(
    redis_server: RedisServer,
) -> None:
    steps = [{"op": op, "key": "k", **more} for op, more in (("put", {"value": 1}), ("get", {}))]
    settings = Settings(store_url=redis_server.url, store_timeout_ms=HASTY_MS)
    async with running_service(settings) as service:
        await insist(lambda: put(service, "warm", b"up"))
        redis_server.signal(signal.SIGSTOP)
        started = time.monotonic()
        try:
            async with service.post("/v1/batch", json={"operations": steps * 50}) as answer:
                results = (await answer.json())["results"]
        finally:
            redis_server.signal(signal.SIGCONT)

    assert time.monotonic() - started < 20 * HASTY_MS / 1000  # of 100 operations
    assert results[0]["applied"] == "unknown"
    assert {(r["status"], r["applied"]) for r in results[1:]} == {(503, "no")}


async def test_setting_over_what_is_no_counter_is_refused_and_changes_nothing(
    redis_server: RedisServer,
) -> None:
    from zlib import crc32

    name = COUNTER % (crc32(b"foreign") % 4096)
    with contextlib.closing(redis_server.client()) as behind:
        behind.set(name, "text")
        async with (
            running_service(Settings(store_url=redis_server.url)) as service,
            service.put("/v1/counters/foreign", json={"value": 5}) as answer,
        ):
            assert (answer.status, (await answer.json())["applied"]) == (500, "no")
        assert await asyncio.to_thread(behind.get, name) == b"text"
