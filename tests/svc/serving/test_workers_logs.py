"""Several workers write to one stderr: each line is whole and names its process."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Final

from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.worker_services import running_workers

#: All of these lines fit into the pipe, which the test reads at the end.
REQUESTS: Final = 80


async def test_the_lines_of_all_workers_are_whole_and_name_their_process(
    redis_server: RedisServer,
) -> None:
    async with running_workers(
        KV_STORE_URL=redis_server.url,
        KV_DRAIN_SECONDS="0",
        KV_LOG_FORMAT="json",
        KV_ACCESS_LOG="all",
    ) as service:
        workers = service.workers()
        url = f"{service.base}/v1/limits"
        await asyncio.gather(*(asyncio.to_thread(fetch, url) for _ in range(REQUESTS)))
        service.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0
        lines = [json.loads(line) for line in service.output().splitlines()]

    access = [line for line in lines if line["logger"] == "svc.access"]
    assert len(access) == REQUESTS
    assert {line["process.pid"] for line in access} == {str(pid) for pid in workers}
    (serving,) = [line for line in lines if line["body"] == "serving"]
    assert serving["workers"] == 2
    assert serving["admin_ports"] == [service.admin_port, service.admin_port + 1]
