"""The service's own counters and histograms show the same as prometheus-client's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from svc.telemetry.instruments import (
    Counter,
    Gauge,
    Histograms,
    Instrument,
    Instruments,
    Labels,
)
from svc.telemetry.metrics import REQUEST_BOUNDS
from tests.support.instrumented_service import read_strictly

BOUNDS: Final = (0.001, 0.0025, 0.1, 1.0, 5.0)
#: Label values, some of which an exposition must escape.
texts = st.text(st.characters(codec="utf-8"), max_size=5)
labels = st.tuples(texts, texts)
#: Numbers whose sums are exact in any order.
values = st.one_of(
    st.sampled_from(BOUNDS).map(lambda bound: round(bound * 2**20) / 2**20),
    st.integers(0, 2**24).map(lambda n: n / 2**20),
)


@pytest.fixture(scope="module", autouse=True)
def _no_created_series() -> Iterator[None]:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    yield
    prometheus_client.enable_created_metrics()  # type: ignore[no-untyped-call]


def registry_of(*instruments: Instrument) -> CollectorRegistry:
    registry, collector = CollectorRegistry(), Instruments()
    for instrument in instruments:
        collector.add(instrument)
    registry.register(collector)
    return registry


def shown_by(registry: Collector) -> tuple[bytes, bytes]:
    """Return the text format and OpenMetrics."""
    openmetrics: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), openmetrics


# What is shown is asked, not when: a busy machine takes longer.
@given(counted=st.lists(st.tuples(labels, st.integers(0, 1000)), max_size=20))
def test_a_counter_shows_what_prometheus_clients_own_would(
    counted: list[tuple[tuple[str, str], int]],
) -> None:
    ours, theirs = Counter("n_total", "N.", ("a", "b")), CollectorRegistry()
    their_counter = prometheus_client.Counter("n", "N.", ("a", "b"), registry=theirs)

    for each, amount in counted:
        ours[each] += amount
        their_counter.labels(*each).inc(amount)

    assert shown_by(registry_of(ours)) == shown_by(theirs)


@given(observed=st.lists(st.tuples(labels, values), max_size=50))
def test_a_histogram_shows_what_prometheus_clients_own_would(
    observed: list[tuple[tuple[str, str], float]],
) -> None:
    ours, theirs = Histograms("t_seconds", "T.", BOUNDS, ("a", "b")), CollectorRegistry()
    their_histogram = prometheus_client.Histogram(
        "t_seconds", "T.", ("a", "b"), buckets=BOUNDS, registry=theirs
    )

    for each, value in observed:
        ours[each].observe(value)
        their_histogram.labels(*each).observe(value)

    assert shown_by(registry_of(ours)) == shown_by(theirs)


@given(observed=st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_a_histogram_counts_each_observation_in_every_bucket_that_holds_it(
    observed: list[float],
) -> None:
    histograms = Histograms("t_seconds", "T.", REQUEST_BOUNDS)
    for value in observed:
        histograms[()].observe(value)

    (family,) = registry_of(histograms).collect()

    buckets = {s.labels["le"]: s.value for s in family.samples if s.name == "t_seconds_bucket"}
    for bound in REQUEST_BOUNDS:
        expected = sum(value <= bound for value in observed)
        assert buckets.pop(f"{bound:g}" if bound < 1 else str(bound)) == expected
    assert buckets == {"+Inf": len(observed)}
    assert histograms[()].count == len(observed)


@given(observed=st.lists(st.tuples(st.floats(0, 10), st.integers(0, 2**64 - 1)), max_size=30))
def test_each_bucket_names_the_trace_that_it_saw_last(
    observed: list[tuple[float, int]],
) -> None:
    histograms = Histograms("t_seconds", "T.", BOUNDS)
    latest: dict[float, tuple[float, str]] = {}
    for value, number in observed:
        trace_id, span_id = f"{number:032x}", f"{number:016x}"
        histograms[()].observe_traced(value, trace_id, span_id)
        upper = min((bound for bound in BOUNDS if value <= bound), default=float("inf"))
        latest[upper] = (value, trace_id)
    histograms[()].observe(0.5)

    exposition: bytes = generate_openmetrics(registry_of(histograms))  # type: ignore[no-untyped-call]

    (family,) = read_strictly(exposition.decode())
    shown = {
        float(sample.labels["le"]): (sample.exemplar.value, sample.exemplar.labels["trace_id"])
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert shown == latest


def test_the_text_format_has_no_exemplars() -> None:
    histograms = Histograms("t_seconds", "T.", BOUNDS)
    histograms[()].observe_traced(0.01, "1" * 32, "2" * 16)

    assert b"trace_id" not in generate_latest(registry_of(histograms))


def test_what_is_known_beforehand_shows_as_zero_and_the_rest_when_it_comes() -> None:
    counter = Counter("n_total", "N.", ("a",), [("known",)])
    before = dict(counter)
    counter["new",] += 1

    assert before == {("known",): 0}
    assert counter == {("known",): 0, ("new",): 1}


def test_looking_at_a_counter_makes_no_series() -> None:
    counter = Counter("n_total", "N.", ("a",))

    assert counter["unheard of",] == 0
    assert counter.family().samples == []


def test_a_histogram_without_labels_shows_before_its_first_observation() -> None:
    (family,) = registry_of(Histograms("t_seconds", "T.", BOUNDS)).collect()

    assert {sample.value for sample in family.samples} == {0}
    assert len(family.samples) == len(BOUNDS) + 3


def test_a_gauge_is_read_anew_for_each_scrape() -> None:
    now: dict[Labels, float] = {("idle",): 1.0}
    registry = registry_of(Gauge("g", "G.", ("state",), read=lambda: now))

    assert registry.get_sample_value("g", {"state": "idle"}) == 1
    now["idle",] = 2
    assert registry.get_sample_value("g", {"state": "idle"}) == 2


def test_a_family_is_a_snapshot_that_later_observations_do_not_change() -> None:
    counter, histograms = Counter("n_total", "N."), Histograms("t_seconds", "T.", BOUNDS)
    counter[()] += 1
    families = [counter.family(), histograms.family()]
    before = [list(family.samples) for family in families]

    counter[()] += 1
    histograms[()].observe(1)

    assert [family.samples for family in families] == before
