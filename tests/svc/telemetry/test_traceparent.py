"""``traceparent`` is parsed exactly as OpenTelemetry's own propagator parses it."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from svc.telemetry.trace import read_traceparent
from tests.support.instrumented_service import Serve
from tests.support.raw_http import exchange
from tests.support.traceparents import traceparents

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
GOOD: Final = f"00-{TRACE}-{SPAN}-01"

READ: Final = {
    "sampled": (GOOD, True),
    "not sampled": (f"00-{TRACE}-{SPAN}-00", False),
    "random and not sampled": (f"00-{TRACE}-{SPAN}-02", False),
    "random and sampled": (f"00-{TRACE}-{SPAN}-03", True),
    "every flag": (f"00-{TRACE}-{SPAN}-ff", True),
    "every flag but one": (f"00-{TRACE}-{SPAN}-fe", False),
    "a later version": (f"01-{TRACE}-{SPAN}-01", True),
    "a later version with more to say": (f"cc-{TRACE}-{SPAN}-01-more", True),
    "spaces around": (f" \t{GOOD} \t", True),
}
REFUSED: Final = {
    "nothing": "",
    "a word": "sampled",
    "the version that never will be": f"ff-{TRACE}-{SPAN}-01",
    "capital letters in the trace": GOOD.upper(),
    "a trace of zeros": f"00-{'0' * 32}-{SPAN}-01",
    "a span of zeros": f"00-{TRACE}-{'0' * 16}-01",
    "version 00 with more to say": f"{GOOD}-more",
    "version 00 with a dash behind": f"{GOOD}-",
    "a digit too few": GOOD[:-1],
    "a digit too many": f"{GOOD}0",
    "no flags": f"00-{TRACE}-{SPAN}",
    "two of them": f"{GOOD},{GOOD}",
    "a letter that is no digit": GOOD.replace("b", "g"),
}


@pytest.mark.parametrize("case", READ)
def test_a_parent_is_read(case: str) -> None:
    header, sampled = READ[case]

    assert read_traceparent(header) == (TRACE, sampled)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_parent_is_none(case: str) -> None:
    assert read_traceparent(REFUSED[case]) is None


@settings(max_examples=1000)
@given(header=traceparents().filter(lambda header: header is not None))
def test_it_is_read_as_the_propagator_reads_it(header: str) -> None:
    carrier = {"traceparent": header}
    parent = get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()

    read = read_traceparent(header)

    if parent.is_valid:
        assert read == (f"{parent.trace_id:032x}", parent.trace_flags.sampled)
    else:
        assert read is None


@pytest.mark.parametrize("second", [GOOD, GOOD.replace("4bf", "5bf")])
async def test_two_lines_are_no_parent(observed: Serve, second: str) -> None:
    lines = [f"traceparent: {GOOD}", f"Traceparent: {second}"]
    async with observed() as service:
        answer = await exchange(
            service.port, "\r\n".join(["GET /v1/kv/none HTTP/1.1", "Host: t", *lines, "", ""])
        )

    assert answer.json["trace_id"] not in {TRACE, second[3:35]}
    assert answer.headers["X-Request-Id"] == answer.json["trace_id"]


async def test_without_a_parent_the_problem_names_a_trace_of_its_own(observed: Serve) -> None:
    request = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n{}\r\n"
    async with observed() as service:
        answers = [
            await exchange(service.port, request.format(header))
            for header in ("", "", f"traceparent: {GOOD.upper()}\r\n")
        ]

    ids = {answer.json["trace_id"] for answer in answers}
    assert len(ids) == 3
    for answer in answers:
        # It is the request id too, because no other request has the same trace id.
        assert answer.headers["X-Request-Id"] == answer.json["trace_id"]
        assert int(answer.json["trace_id"], 16) != 0
        assert len(answer.json["trace_id"]) == 32
    assert TRACE not in ids


async def test_requests_of_one_trace_have_ids_of_their_own(observed: Serve) -> None:
    request = f"GET /v1/kv/none HTTP/1.1\r\nHost: t\r\ntraceparent: {GOOD}\r\n\r\n"
    async with observed() as service:
        answers = [await exchange(service.port, request) for _ in range(3)]

    assert {answer.json["trace_id"] for answer in answers} == {TRACE}
    assert len({answer.headers["X-Request-Id"] for answer in answers} | {TRACE}) == 4
