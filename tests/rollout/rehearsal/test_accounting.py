"""Counts from the access log, results of clients, and the requests of a mix."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from rollout.envoy.resource_names import ClusterName
from rollout.evidence.counts import Arm, Counts
from rollout.plan.releases import Releases
from rollout.rehearsal.access_log import AccessLog, AccessLogEntry, parse_entry
from rollout.rehearsal.client_results import ClientResponse, ClientResults
from rollout.rehearsal.request_mix import (
    COUNTERS,
    KEYS,
    KeyValueMix,
    RepeatedRequest,
    RequestInvalid,
)
from rollout.rehearsal.source import ArmCounts

CANARY = "outbound|8080|canary|kv.shop.svc.cluster.local"


def line(**fields: Any) -> bytes:
    known = {
        "cluster": CANARY,
        "upstream": "127.0.0.1:8080",
        "status": 200,
        "grpc_status": None,
        "flags": None,
        "duration_ms": 3,
        "start_time": "1970-01-01T00:01:40.250Z",
    }
    return json.dumps({**known, **fields}).encode()


def test_an_entry_has_the_outcome_of_a_request() -> None:
    assert parse_entry(line()) == AccessLogEntry(
        ClusterName("8080", "canary", "kv.shop.svc.cluster.local"),
        "127.0.0.1:8080",
        200,
        "-",
        0.0035,
        100.25,
    )


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (404, False), (429, False), (500, True), (503, True)]
)
def test_what_fails_is_5xx(status: int, failed: bool) -> None:
    assert parse_entry(line(status=status)).failed is failed


@pytest.mark.parametrize(
    ("status", "failed"), [(0, False), (5, False), (7, False), (2, True), (13, True), (14, True)]
)
def test_a_call_of_grpc_fails_by_errors_of_the_server(status: int, failed: bool) -> None:
    assert parse_entry(line(grpc_status=status)).failed is failed
    assert ClientResponse(200, grpc_status=status).failed is failed


def test_a_request_can_be_a_call_of_grpc() -> None:
    request = RepeatedRequest.parse("GRPC /shop.Reviews/List").draw()

    assert (request.method, request.path) == ("POST", "/shop.Reviews/List")
    assert (request.headers["Content-Type"], request.body) == ("application/grpc", bytes(5))


@pytest.mark.parametrize("status", [0, None])
def test_no_answer_is_a_failure(status: int | None) -> None:
    assert parse_entry(line(status=status, flags="DC")).failed


@pytest.mark.parametrize("other", [b"", b"starting\n", b"[]", b"{}", b'"x"', b"7"])
def test_lines_in_another_format_are_ignored(other: bytes) -> None:
    seen: list[AccessLogEntry] = []
    log = AccessLog(seen.append)

    log.read(other)
    log.read(line())

    assert len(seen) == log.requests == 1


def test_the_oldest_of_the_usual_requests_is_known() -> None:
    log = AccessLog()

    for second, milliseconds in ((30, 20), (10, 900), (0, 5_000)):
        log.read(line(start_time=f"1970-01-01T00:00:{second:02}.000Z", duration_ms=milliseconds))

    assert log.take_oldest() == 10
    assert log.take_oldest() == math.inf


def test_requests_are_counted_for_the_arm_whose_pod_was_chosen() -> None:
    counts = ArmCounts(Releases("stable", "canary", "kv", "baseline"), (0.1, 0.25))
    log = AccessLog(counts.observe)

    for each in (
        line(),
        line(duration_ms=99),
        line(duration_ms=100),  # truncated: it took longer
        line(duration_ms=300),
        line(status=503, flags="UF", duration_ms=0),
        line(status=503, flags="UH", upstream=None, duration_ms=0),
        line(cluster=CANARY.replace("canary", "stable")),
        line(cluster=CANARY.replace("canary", "baseline"), grpc_status=14),
        line(cluster=None, status=404, flags="NR"),
        line(cluster=CANARY.replace("canary", "")),
    ):
        log.read(each)

    assert counts.by_arm() == {
        Arm.CANARY: Counts(5, 1, (3, 2)),
        Arm.STABLE: Counts(1, 0, (0, 0)),
        Arm.BASELINE: Counts(1, 1, (1, 1)),
        Arm.NEITHER: Counts(1, 1, (1, 1)),
    }
    assert counts.unattributed.requests == 2


def test_seconds_without_requests_are_recorded_too() -> None:
    results = ClientResults()

    results.add(ClientResponse(200, "stable", "1"), 0)
    results.add(ClientResponse(503), 2)
    results.add(ClientResponse(0), 2)

    assert [each.requests.total() for each in results.seconds] == [1, 0, 2]
    assert results.seconds[2].failures.total() == results.failures == 2
    assert results.requests == 3


@pytest.mark.parametrize(
    ("value", "wrong"), [(9, {"a": -1}), (10, {}), (12, {}), (13, {"a": 1}), (None, {"a": -10})]
)
def test_a_counter_may_include_indeterminate_increments_and_no_more(
    value: int | None, wrong: dict[str, int]
) -> None:
    results = ClientResults()
    results.acknowledged["a"], results.indeterminate["a"] = 10, 2

    assert results.counter_errors({} if value is None else {"a": value}) == wrong


def test_the_mix_keeps_to_its_own_keys() -> None:
    mix = KeyValueMix()
    drawn = [mix.draw() for _ in range(5000)]

    assert {each.method for each in drawn} == {"GET", "PUT", "POST"}
    assert all(mix.prefix in each.path for each in drawn)
    assert len({each.path for each in drawn}) <= KEYS + COUNTERS
    keys = [each.headers["Idempotency-Key"] for each in drawn if each.counter]
    assert len(keys) == len({*keys}) == sum(each.method == "POST" for each in drawn)
    assert KeyValueMix().prefix != mix.prefix


def test_one_request_is_parsed_and_repeated() -> None:
    repeated = RepeatedRequest.parse("GET /things?of=mine")

    assert {(each.method, each.path) for each in (repeated.draw(), repeated.draw())} == {
        ("GET", "/things?of=mine")
    }


@pytest.mark.parametrize("text", ["", "/things", "GET things", "get /things", "GET /a b"])
def test_text_that_is_not_a_request_is_rejected(text: str) -> None:
    with pytest.raises(RequestInvalid, match="GET /path"):
        RepeatedRequest.parse(text)
