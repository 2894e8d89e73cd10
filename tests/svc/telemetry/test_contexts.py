"""What is recorded about one request never appears in another's trace or log line."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from svc.telemetry.trace import TRACE
from tests.support.answers import ask, batch, put, together, warm
from tests.support.instrumented_service import UNSAMPLED, Serve, logged_lines, trace_id, traceparent
from tests.support.otlp import Collector
from tests.support.raw_http import raw_connection

REQUESTS: Final = 60
TRACED: Final = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\ntraceparent: {}\r\n\r\n"
UNTRACED: Final = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n\r\n"


async def test_requests_that_share_a_round_trip_each_log_their_own_result(
    observed: Serve,
) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            await put(service, "there", b"v")
            await warm(service, REQUESTS)
            answers = await together(
                *(
                    ask(
                        service,
                        "GET",
                        "/v1/kv/there" if number % 3 else "/v1/kv/not-there",
                        headers=traceparent(number, UNSAMPLED),
                    )
                    for number in range(1, REQUESTS + 1)
                )
            )

    told = {line["trace_id"]: line for line in lines.with_body("request")}
    for number, answer in enumerate(answers, 1):
        line = told[trace_id(number)]
        expected = ("hit", 200, None) if number % 3 else ("miss", 404, "key_missing")
        outcome = (line["kv.result"], line["http.response.status_code"], line.get("error.type"))
        assert outcome == expected
        assert answer.status == expected[1]
        assert line["redis_ms"] > 0
        if answer.status == 404:
            assert answer.json["trace_id"] == trace_id(number)


async def test_sampled_and_unsampled_of_one_round_trip_keep_apart(
    traced: Serve, collector: Collector
) -> None:
    numbers = list(range(1, REQUESTS + 1))
    random.Random(1).shuffle(numbers)
    with logged_lines() as lines:
        async with traced(traces_per_second=0, access_log="all") as service:
            await warm(service, REQUESTS)
            await together(
                *(
                    ask(
                        service,
                        "POST",
                        f"/v1/counters/c{number % 4}/increments",
                        headers=traceparent(number, f"0{number % 2}"),
                    )
                    for number in numbers
                )
            )

    assert collector.trace_ids == {trace_id(number) for number in numbers if number % 2}
    told = [line for line in lines.with_body("request") if "increments" in line["http.route"]]
    assert len(told) == REQUESTS
    for line in told:
        sampled = int(line["trace_id"], 16) % 2 == 1
        assert (line["trace_flags"] == "01", "span_id" in line) == (sampled, sampled)


async def test_requests_in_one_go_on_one_connection_are_answered_with_their_own(
    observed: Serve,
) -> None:
    expected = [trace_id(n) if n % 2 else None for n in range(1, 21)]
    async with observed() as service, raw_connection(service.port) as wire:
        requests = [
            TRACED.format(traceparent(n)["traceparent"]) if n % 2 else UNTRACED
            for n in range(1, 21)
        ]
        await wire.send("".join(requests))
        told = [(await wire.answer()).json["trace_id"] for _ in requests]

    assert len(set(told)) == len(told)
    for own, given in zip(told, expected, strict=True):
        assert given is None or own == given


async def test_what_is_no_http_behind_a_request_has_a_trace_of_its_own(observed: Serve) -> None:
    async with observed() as service, raw_connection(service.port) as wire:
        await wire.send(TRACED.format(traceparent(1)["traceparent"]))
        assert (await wire.answer()).json["trace_id"] == trace_id(1)
        await wire.send("no HTTP at all\r\n\r\n")
        malformed = await wire.answer()

    assert malformed.status == 400
    told = malformed.json["trace_id"]
    assert told not in {"", trace_id(1)}
    assert malformed.headers["X-Request-Id"] == told


async def test_the_operations_of_a_batch_are_logged_with_its_request(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            await batch(service, *({"op": "put", "key": f"k{n}", "value": n} for n in range(20)))
            await asyncio.gather(
                *(batch(service, {"op": "get", "key": f"k{n}"}) for n in range(20)),
                *(ask(service, "GET", "/v1/limits") for _ in range(20)),
            )

    for line in lines.with_body("request"):
        assert (line["redis_ms"] > 0) is (line["http.route"] == "/v1/batch")


async def test_outside_of_requests_there_is_no_trace(observed: Serve) -> None:
    async with observed() as service:
        await asyncio.gather(
            *(ask(service, "GET", "/v1/kv/none", headers=traceparent(n)) for n in range(1, 9))
        )

        assert TRACE.get().trace_id == ""
        async with service.client.get(f"{service.admin_base}/none") as answer:
            # The admin port's problems have a new id each, which no trace has.
            assert (await answer.json())["trace_id"] not in {trace_id(n) for n in range(1, 9)}
