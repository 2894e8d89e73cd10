"""What clients can make the process hold in bytes, and clients that send or receive too slowly."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

import pytest

from svc.api.budget import BUDGET, RECEIVING_BYTES, ByteBudget
from svc.api.context import LIFECYCLE, SIGNALS
from svc.settings import SettingInvalid, Settings, load_settings
from tests.support.answers import ask, ask_admin, assert_problem, get, put, statuses, together
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

MIB = 1 << 20
LARGE = bytes(MIB)
BUDGET_BYTES = 4 * MIB
#: Longer than a busy machine holds up a client.
SEND_SECONDS = 9.0
CAP = 4

UPLOAD = f"PUT /v1/kv/u HTTP/1.1\r\nHost: t\r\nContent-Length: {MIB}\r\n\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_url=redis_server.url,
        store_timeout_ms=30_000,
        max_buffered_bytes=BUDGET_BYTES,
        send_timeout_seconds=SEND_SECONDS,
        body_timeout_seconds=60.0,
        max_in_flight=CAP,
    )
    async with running_service(settings) as service:
        assert (await put(service, "large", LARGE)).status == 201
        assert (await put(service, "small", b"v")).status == 201
        yield service


@contextlib.asynccontextmanager
async def uploads(service: Service, number: int, sent: int) -> AsyncIterator[list[RawConnection]]:
    """Begin uploads of a MiB each, of which only the first bytes are sent."""
    async with contextlib.AsyncExitStack() as stack:
        wires = [
            await stack.enter_async_context(raw_connection(service.port)) for _ in range(number)
        ]
        for wire in wires:
            await wire.send(UPLOAD, bytes(sent))
        held = number * (sent + RECEIVING_BYTES)
        await eventually(lambda: service.app[BUDGET].held == held, what="the uploads")
        yield wires


@contextlib.asynccontextmanager
async def unread_answers(service: Service, number: int, path: str) -> AsyncIterator[None]:
    """Ask for answers, one after the other, that are never read."""
    lifecycle = service.app[LIFECYCLE]
    async with contextlib.AsyncExitStack() as stack:
        for i in range(number):
            wire = await stack.enter_async_context(raw_connection(service.port))
            wire.reader._limit = 1  # type: ignore[attr-defined]
            await wire.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n" * 8)
            await eventually(lambda n=i + 1: lifecycle.sending == n, what="the answer")  # type: ignore[misc]
        yield


async def test_bodies_that_arrive_take_of_the_budget_until_there_is_no_room(
    service: Service,
) -> None:
    async with uploads(service, 4, MIB * 15 // 16) as wires:
        refused = await put(service, "k", LARGE)
        assert_problem(refused, 503, "overloaded")
        assert refused.headers["Retry-After"]
        assert_problem(await get(service, "large"), 503, "overloaded")
        assert (await get(service, "small")).body == b"v"
        assert (await put(service, "small", b"w")).status == 200
        for wire in wires:
            await wire.send(bytes(MIB // 16))
            assert (await wire.answer()).status in {200, 201}

    assert service.app[BUDGET].held == 0
    assert (await put(service, "k", LARGE)).status == 201


async def test_bodies_that_do_not_fit_together_are_refused_while_they_arrive(
    service: Service,
) -> None:
    answers = await together(*(put(service, f"k{i}", LARGE) for i in range(40)))

    assert statuses(answers) == {201, 503}
    for i, answer in enumerate(answers):
        assert (await get(service, f"k{i}")).status == (200 if answer.status == 201 else 404)
    assert service.app[BUDGET].held == 0


async def test_answers_that_are_not_received_take_of_the_budget_and_count_as_in_flight(
    service: Service,
) -> None:
    settings = dataclasses.replace(service.settings, send_timeout_seconds=60)
    async with running_service(settings) as patient, unread_answers(patient, 3, "/v1/kv/large"):
        assert patient.app[BUDGET].held > 0
        assert (await ask_admin(patient, "/statusz")).json["in_flight"] == 3
        metrics = (await ask_admin(patient, "/metrics")).text
        assert "\nhttp_server_active_requests 3" in metrics
        assert f"\nkv_buffered_bytes {patient.app[BUDGET].held}" in metrics


async def test_a_client_that_receives_nothing_is_cut_off_in_time(service: Service) -> None:
    async with unread_answers(service, 3, "/v1/kv/large"):
        began = asyncio.get_running_loop().time()
        await eventually(lambda: service.app[BUDGET].held == 0, what="the end of the connections")
        took = asyncio.get_running_loop().time() - began

        assert SEND_SECONDS * 0.5 < took < SEND_SECONDS + 20
        assert service.app[LIFECYCLE].active == 0
        metrics = (await ask_admin(service, "/metrics")).text
        assert "\nkv_sends_aborted_total 3" in metrics
    assert (await get(service, "large")).status == 200


async def test_a_client_that_receives_slowly_is_served(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send("GET /v1/kv/large HTTP/1.1\r\nHost: t\r\n\r\n" * 8)
        received = 0
        for _ in range(10):  # longer than the deadline
            received += len(await wire.reader.readexactly(MIB // 4))
            await asyncio.sleep(SEND_SECONDS / 8)
        for _ in range(8):
            if received < 8 * MIB:
                received += len(await wire.reader.readexactly(MIB // 2))

    assert received >= 6 * MIB


async def test_bodies_that_do_not_arrive_lock_nobody_out(service: Service) -> None:
    async with uploads(service, 4 * CAP, 1) as wires:
        assert (await ask_admin(service, "/statusz")).json["in_flight"] == 4 * CAP
        assert service.app[LIFECYCLE].in_flight == 0
        answers = [await get(service, "small"), await put(service, "k", LARGE)]
        assert [answer.status for answer in answers] == [200, 201]
        for wire in wires[:CAP]:
            await wire.send(bytes(MIB - 1))
            assert (await wire.answer()).status in {200, 201}
    await eventually(lambda: service.app[LIFECYCLE].active == 0, what="the end of the uploads")
    assert service.app[BUDGET].held == 0


def test_a_budget_too_small_for_one_request_is_refused_at_start() -> None:
    with pytest.raises(SettingInvalid, match=r"^KV_MAX_BUFFERED_BYTES: .* 20971520 bytes"):
        load_settings({"KV_MAX_BUFFERED_BYTES": "20971519"}, {})

    assert load_settings({"KV_MAX_BUFFERED_BYTES": "20971520"}, {}).max_buffered_bytes == 20971520


async def test_a_batch_names_one_large_entry_often_and_reads_it_once(
    service: Service, redis_server: RedisServer
) -> None:
    before = redis_server.client().info("stats")["total_net_output_bytes"]
    operations = ",".join(['{"op":"get","key":"large"}'] * 100)

    answer = await ask(service, "POST", "/v1/batch", data=f'{{"operations":[{operations}]}}')

    assert answer.status == 200
    after = redis_server.client().info("stats")["total_net_output_bytes"]
    assert after - before < 2 * MIB


async def test_a_batch_reads_no_more_than_its_answer_has_room_for(
    redis_server: RedisServer,
) -> None:
    settings = Settings(
        store_url=redis_server.url,
        store_timeout_ms=30_000,
        max_batch_bytes=MIB // 2,
        max_buffered_bytes=16 * MIB,
    )
    async with running_service(settings) as service:
        keys = [f"k{i}" for i in range(20)]
        for key in keys:
            assert (await put(service, key, bytes(MIB // 4))).status == 201
        before = redis_server.client().info("stats")["total_net_output_bytes"]
        operations = ",".join(f'{{"op":"get","key":"{key}"}}' for key in [*keys, "none"])

        answer = await ask(service, "POST", "/v1/batch", data=f'{{"operations":[{operations}]}}')

        after = redis_server.client().info("stats")["total_net_output_bytes"]
        results = answer.json["results"]
        assert [result["status"] for result in results] == [200] * 8 + [413] * 12 + [404]
        assert after - before < 2.5 * MIB
        assert service.app[BUDGET].held == 0


async def test_a_batch_whose_entries_find_no_room_says_so_for_each(service: Service) -> None:
    async with uploads(service, 4, MIB * 15 // 16):
        answer = await ask(
            service,
            "POST",
            "/v1/batch",
            data='{"operations":[{"op":"add","counter":"c"},{"op":"get","key":"large"}]}',
        )

        assert [result["status"] for result in answer.json["results"]] == [200, 503]
        assert answer.json["results"][1]["code"] == "overloaded"


async def test_a_batch_whose_answer_is_full_takes_no_more_and_gives_nothing_back(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[int]()
    hold = ByteBudget.hold

    def spy(budget: ByteBudget, size: int) -> None:
        taken.append(size)
        hold(budget, size)

    settings = Settings(
        store_url=redis_server.url, store_timeout_ms=30_000, max_batch_bytes=MIB // 2
    )
    async with running_service(settings) as service:
        assert (await put(service, "k", bytes(MIB // 8))).status == 201
        monkeypatch.setattr(ByteBudget, "hold", spy)
        read, write = '{"op":"get","key":"k"}', '{"op":"put","key":"k","value":1}'
        operations = ",".join([*[read] * 300, write, read, write, read])

        answer = await ask(service, "POST", "/v1/batch", data=f'{{"operations":[{operations}]}}')

        statuses = [result["status"] for result in answer.json["results"]]
        assert statuses == [200] * 16 + [413] * 284 + [200, 413, 200, 413]
        assert min(taken) >= 0
        assert sum(taken) < 4 * MIB
        assert service.app[BUDGET].held == 0


async def test_reads_that_are_refused_for_want_of_room_are_counted_once(service: Service) -> None:
    rejected = service.app[SIGNALS].metrics.rejected
    async with uploads(service, 2, MIB * 15 // 16):
        operations = ",".join(['{"op":"get","key":"large"}'] * 50)

        answer = await ask(service, "POST", "/v1/batch", data=f'{{"operations":[{operations}]}}')

        codes = [result.get("code") for result in answer.json["results"]]
        assert codes == [None] * codes.count(None) + ["overloaded"] * codes.count("overloaded")
        assert codes.count("overloaded") >= 40
        assert rejected["overloaded",] == 1
