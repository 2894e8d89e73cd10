"""Several workers write to one stderr: each line is whole and names its process."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from svc.telemetry.logs import _whole_lines
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.worker_services import running_workers

MOST: Final = 64
#: All of these lines fit into the pipe, which the test reads at the end.
REQUESTS: Final = 80


@given(st.lists(st.integers(min_value=0, max_value=200)))
def test_lines_are_cut_behind_their_ends_only(lengths: list[int]) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)

    pieces = list(_whole_lines(data, MOST))

    assert b"".join(pieces) == data
    for piece in pieces:
        assert piece.endswith(b"\n")
        assert len(piece) <= MOST or piece.count(b"\n") == 1


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
