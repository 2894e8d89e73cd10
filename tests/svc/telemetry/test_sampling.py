"""Sampling decisions are those of the SDK, for every header, sampler and ratio."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Final
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from svc.telemetry import trace
from svc.telemetry.instruments import Counter
from svc.telemetry.sampling import NoSampler, Sampler
from svc.telemetry.settings import SAMPLERS, load_tracing
from tests.support.traceparents import parents, traceparents

REQUESTS: Final = 100_000
#: Samples of a ratio; an error of 0.1 % is more than six standard deviations at 1 %.
DRAWS: Final = 400_000
RATIO: Final = 0.01
LOW_BITS: Final = (1 << 64) - 1
PARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"

names = st.sampled_from(sorted(SAMPLERS))
ratios = st.one_of(
    st.sampled_from((0.0, 1.0, 1e-9, 0.01, 0.5, 5e-324, 1 - 2**-53)), st.floats(0, 1)
)


def variables(name: str, ratio: float) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_TRACES_SAMPLER": name,
        "OTEL_TRACES_SAMPLER_ARG": repr(ratio),
    }


def ours(name: str, ratio: float) -> Sampler:
    tracing = load_tracing(variables(name, ratio))
    assert tracing is not None
    return sampler(tracing.ratio, parent_based=tracing.parent_based)


def sampler(ratio: float, *, parent_based: bool = True, per_second: float = 0.0) -> Sampler:
    decisions = Counter("decisions", "")
    return Sampler(ratio, parent_based=parent_based, per_second=per_second, decisions=decisions)


def theirs(name: str, ratio: float) -> sdk.Sampler:
    with mock.patch.dict(os.environ, variables(name, ratio)):
        return sdk._get_from_env_or_default()


@pytest.fixture(autouse=True)
def _same_draws() -> Iterator[None]:
    before = random.getstate()
    random.seed(20261120)
    yield
    random.setstate(before)


@settings(max_examples=1500)
@given(header=traceparents(), name=names, ratio=ratios)
def test_every_request_is_decided_as_the_sdk_would(
    header: str | None, name: str, ratio: float
) -> None:
    carrier = {} if header is None else {"traceparent": header}
    context = TraceContextTextMapPropagator().extract(carrier)
    parent = get_current_span(context).get_span_context()

    decided = ours(name, ratio).decide(header)

    number = int(decided.trace_id, 16)
    expected = theirs(name, ratio).should_sample(context, number, "GET")
    assert decided.sampled is (expected.decision is sdk.Decision.RECORD_AND_SAMPLE)
    assert decided.has_parent is parent.is_valid
    if parent.is_valid:
        assert number == parent.trace_id


@settings(max_examples=1000)
@given(ratio=ratios, high=st.integers(0, LOW_BITS), off=st.integers(-2, 2))
def test_the_bound_is_the_sdks_to_the_last_bit(ratio: float, high: int, off: int) -> None:
    bound = sdk.TraceIdRatioBased.get_bound_for_rate(ratio)
    number = (high << 64) | min(max(0, bound + off), LOW_BITS) or 1
    expected = sdk.TraceIdRatioBased(ratio).should_sample(None, number, "GET")

    decided = ours("traceidratio", ratio).decide(f"00-{number:032x}-{1:016x}-00")

    assert decided.sampled is (expected.decision is sdk.Decision.RECORD_AND_SAMPLE)


@settings(max_examples=300)
@given(header=traceparents())
def test_without_tracing_the_callers_trace_is_kept(header: str | None) -> None:
    decided, sampled = NoSampler().decide(header), ours("always_on", 1.0).decide(header)

    assert not decided.sampled
    assert decided.has_parent is sampled.has_parent
    if decided.has_parent:
        assert decided.trace_id == sampled.trace_id


@pytest.mark.parametrize(("flags", "all_of_them"), [("00", 0), ("02", 0), ("01", 1), ("03", 1)])
def test_the_callers_decision_is_followed_without_exception(flags: str, all_of_them: int) -> None:
    decide = sampler(RATIO).decide

    sampled = sum(decide(PARENT + flags).sampled for _ in range(REQUESTS))

    assert sampled == REQUESTS * all_of_them


@pytest.mark.parametrize("header", [None, "garbage", PARENT.upper() + "01", f"ff{PARENT[2:]}01"])
def test_without_a_callers_decision_the_ratio_holds(header: str | None) -> None:
    decide = sampler(RATIO).decide

    sampled = sum(decide(header).sampled for _ in range(DRAWS))

    assert sampled / DRAWS == pytest.approx(RATIO, abs=0.001)


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (1e-9, 0), (1.0, REQUESTS)])
def test_at_the_ends_none_and_all_are_sampled(ratio: float, expected: int) -> None:
    decide = sampler(ratio).decide

    assert sum(decide(None).sampled for _ in range(REQUESTS)) == expected


def test_no_two_requests_get_one_id() -> None:
    decide = NoSampler().decide

    ids = {decide(None).trace_id for _ in range(REQUESTS)}

    assert len(ids) == REQUESTS
    assert {len(trace_id) for trace_id in ids} == {32}


def test_the_invalid_zero_id_is_never_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "getrandbits", lambda _: 0)

    assert int(NoSampler().decide(None).trace_id, 16) != 0


@settings(max_examples=200)
@given(headers=st.lists(st.one_of(st.none(), parents()), max_size=30), ratio=ratios)
def test_every_decision_is_counted_once_by_where_it_was_made(
    headers: list[str | None], ratio: float
) -> None:
    decisions = Counter("decisions", "")
    decide = Sampler(ratio, parent_based=True, per_second=0, decisions=decisions).decide

    decided = [decide(header) for header in headers]

    expected: dict[tuple[str, ...], int] = {}
    for each in decided:
        labels = (
            "parent" if each.has_parent else "root",
            "sampled" if each.sampled else "dropped",
        )
        expected[labels] = expected.get(labels, 0) + 1
    assert decisions == expected
