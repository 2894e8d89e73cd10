"""Clients that disconnect in the middle: no response reaches another client, nothing leaks."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from urllib.parse import quote

from svc.domain.model import CounterName, Draft, Increment, Key, Operation, Precondition
from tests.support.answers import (
    ask,
    ask_admin,
    counter_value,
    get,
    increment,
    statuses,
    store_all,
    together,
)
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.waiting import eventually

KEYS = range(100)


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [
        f"{method} {quote(path, safe='/?=')} HTTP/1.1",
        "Host: tallykv",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def every_verb(number: int) -> list[bytes]:
    once = f"Idempotency-Key: gone-{number}"
    return [
        request("GET", f"/v1/kv/k{number}"),
        request("HEAD", f"/v1/kv/k{number}"),
        request("PUT", f"/v1/kv/gone{number}", b"gone", "Content-Type: text/plain"),
        request("PUT", f"/v1/kv/gone{number}", b"gone", "If-None-Match: *"),
        request("PUT", f"/v1/kv/gone{number}", b"gone", once),
        request("PATCH", "/v1/kv/doc", b'{"n":1}', "Content-Type: application/merge-patch+json"),
        request("DELETE", f"/v1/kv/gone{number}"),
        request("POST", "/v1/kv/gone/", b"gone", "Content-Type: text/plain"),
        request("POST", "/v1/counters/gone/increments"),
        request("POST", "/v1/counters/gone/increments", b"", once),
        request("PUT", "/v1/counters/gone", b'{"value":1}'),
        request("GET", "/v1/kv?prefix=k"),
        request("POST", "/v1/batch", b'{"operations":[{"op":"get","key":"k%d"}]}' % number),
        request("GET", "/"),
    ]


async def leave(service: Service, sent: bytes) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(sent)
        wire.writer.transport.abort()


async def assert_nothing_crossed(service: Service) -> None:
    """Each key has its own value, each counter its own count, and no request is in progress."""
    answers = await together(
        *(get(service, f"k{i}") for i in KEYS), *(increment(service, f"c{i}") for i in KEYS)
    )
    for i in KEYS:
        assert (answers[i].status, answers[i].body) == (200, b"value-%d" % i)
        assert answers[len(KEYS) + i].json["value"] // 1_000_000 == i
    await eventually(lambda: _in_flight_is_zero(service), what="the end of all requests")


async def _in_flight_is_zero(service: Service) -> bool:
    return bool((await ask_admin(service, "/statusz")).json["in_flight"] == 0)


async def prepare(service: Service) -> None:
    await ask(service, "PUT", "/v1/kv/doc", json={})
    await store_all(service, {f"k{i}": b"value-%d" % i for i in KEYS})
    for i in KEYS:
        await ask(service, "PUT", f"/v1/counters/c{i}", json={"value": i * 1_000_000})


async def test_clients_that_disconnect_at_once_mix_up_no_responses(
    patient: Service,
) -> None:
    await prepare(patient)

    await together(
        *(leave(patient, sent) for number in range(20) for sent in every_verb(number)),
        *(get(patient, f"k{i}") for i in KEYS),
    )

    await assert_nothing_crossed(patient)


async def test_clients_that_disconnect_while_redis_is_paused_mix_up_no_responses(
    patient: Service, redis_server: RedisServer
) -> None:
    await prepare(patient)
    redis_server.signal(signal.SIGSTOP)
    try:
        await together(*(leave(patient, sent) for n in range(8) for sent in every_verb(n)))
    finally:
        redis_server.signal(signal.SIGCONT)

    await eventually(lambda: _answers(patient), what="healing")
    await assert_nothing_crossed(patient)


async def _answers(service: Service) -> bool:
    return (await get(service, "k0")).status == 200


async def test_a_body_that_breaks_off_stores_nothing(patient: Service) -> None:
    head = request("PUT", "/v1/kv/half", b"x" * 100, "Content-Type: text/plain")[:-50]

    await together(*(leave(patient, head) for _ in range(20)))

    await eventually(lambda: _in_flight_is_zero(patient), what="the end of all requests")
    assert (await get(patient, "half")).status == 404


async def test_a_cancelled_store_operation_leaves_no_answer_behind(
    patient: Service, redis_server: RedisServer
) -> None:
    await prepare(patient)
    store, draft = patient.store, Draft(b"gone", "text/plain", None, is_json=False)
    step, plain = Increment(maximum=10), Increment()

    def operations(number: int) -> list[Awaitable[object]]:
        operation = Operation(b"%016d" % number, b"f" * 16)
        return [
            store.read(Key(f"k{number}")),
            store.write(Key("gone"), draft),
            store.write(Key("gone"), draft, Precondition(if_none_match=("*",))),
            store.delete(Key("gone")),
            store.add(CounterName("gone"), plain),
            store.add(CounterName("gone"), step),
            store.add(CounterName("gone"), plain, operation),
            store.read_counter(CounterName(f"c{number}")),
            store.list_entries("k", 10, None),
            store.ping(),
        ]

    for turns in range(10):  # cancelled after 0, 1, 2, … turns of the loop
        tasks = [asyncio.ensure_future(o) for number in range(10) for o in operations(number)]
        for _ in range(turns):
            await _one_turn()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await assert_nothing_crossed(patient)


async def _one_turn() -> None:
    turned = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turned.set_result, None)
    await turned


async def test_one_client_leaving_does_not_fail_the_others_of_its_round_trip(
    patient: Service, redis_server: RedisServer
) -> None:
    for _ in range(20):
        answers, *_ = await together(
            together(*(increment(patient, "n") for _ in range(10))),
            *(leave(patient, request("POST", "/v1/counters/n/increments")) for _ in range(10)),
        )

        assert statuses(answers) == {200}
    assert await counter_value(patient, "n") >= 200
