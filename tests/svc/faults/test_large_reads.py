"""Reads of many large entries at once: their sizes are not known before."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from svc.api.context import STORE
from svc.domain.model import Draft, Entry, Key
from svc.settings import Settings
from svc.stores.redis import RedisStore
from svc.stores.wire import MOST_READ_BYTES
from tests.support.answers import ask, get, together
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.svc.faults.conftest import PATIENT_MS

MIB = 1 << 20
ENTRIES = 60


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, store_timeout_ms=PATIENT_MS, telemetry=False)
    async with running_service(settings) as service:
        yield service


async def fill(service: Service) -> RedisStore:
    store = service.app[STORE]
    assert isinstance(store, RedisStore)
    for i in range(ENTRIES):
        body = b"%d" % i + bytes(MIB - 2)
        await store.write(Key(f"k{i}"), Draft(body, "a/b", None, False, 0))
    await store.write(Key("small"), Draft(b"v", "a/b", None, False, 0))
    return store


async def test_they_come_in_parts_of_a_bounded_size_and_all_are_answered(
    service: Service,
) -> None:
    store = await fill(service)
    for _ in range(5):
        await store.read(Key("small"))
    held, most = 0, 0

    async def read(i: int) -> Entry:
        nonlocal held, most
        entry = await store.read(Key(f"k{i}"))
        held += len(entry.body)
        most = max(most, held)
        # What came together is here in one turn of the loop.
        await asyncio.sleep(0)
        held -= len(entry.body)
        return entry

    # The first one is small: others may be large nevertheless.
    first, *entries = await asyncio.gather(
        store.read(Key("small")), *(read(i) for i in range(ENTRIES))
    )

    assert first.body == b"v"
    assert [entry.body[:2].rstrip(b"\0") for entry in entries] == [
        b"%d" % i for i in range(ENTRIES)
    ]
    assert most <= MOST_READ_BYTES


async def test_a_batch_with_conditions_takes_large_entries_from_the_budget_before_it_reads_them(
    service: Service, redis_server: RedisServer
) -> None:
    await fill(service)
    small = dataclasses.replace(service.settings, max_buffered_bytes=20 * MIB)
    async with running_service(small) as bounded:
        before = redis_server.client().info("stats")["total_net_output_bytes"]
        operations = ",".join(
            f'{{"op":"get","key":"k{i}","if_none_match":"x"}}' for i in range(ENTRIES)
        )

        answer = await ask(bounded, "POST", "/v1/batch", data=f'{{"operations":[{operations}]}}')

        after = redis_server.client().info("stats")["total_net_output_bytes"]
        statuses = [result["status"] for result in answer.json["results"]]
        # Those that were read, of which some find no room for their copies in the answer.
        assert statuses == [
            status for status in (200, 503, 413) for _ in range(statuses.count(status))
        ]
        assert statuses.count(200) > 2
        assert after - before < 20 * MIB


async def test_large_writes_and_reads_at_once_are_all_answered(service: Service) -> None:
    written = await together(
        *(
            ask(
                service,
                "PUT",
                f"/v1/kv/w{i}",
                data=bytes(MIB),
                headers={"If-None-Match": "*"},
            )
            for i in range(20)
        )
    )
    assert {answer.status for answer in written} == {201}

    read = await together(*(get(service, f"w{i}") for i in range(20)))
    assert {len(answer.body) for answer in read} == {MIB}
