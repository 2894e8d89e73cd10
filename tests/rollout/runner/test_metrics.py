"""The rollout's own metrics agree with its events, and have the names that dashboards use."""

from __future__ import annotations

import math

import aiohttp
import pytest

from rollout.evidence.counts import Counts
from rollout.report.terminal_view import event_line
from rollout.runner.events import Event, EventKind, EvidenceValues
from rollout.runner.metrics import RolloutMetrics, serve_metrics
from tests.rollout.report.simulated_rollout import THRESHOLDS, simulate_rollout
from tests.support.prometheus import check_metrics


def metrics_of(*events: Event) -> RolloutMetrics:
    metrics = RolloutMetrics("shop", "kv")
    for event in events:
        metrics.observe_event(event)
    return metrics


def value(metrics: RolloutMetrics, name: str, **labels: str) -> float | None:
    all_labels = {"namespace": "shop", "rollout": "kv", **labels}
    return metrics.registry.get_sample_value(f"kv_rollout_{name}", all_labels)


def test_shares_and_step_follow_the_rollout() -> None:
    metrics = metrics_of(
        Event(time=1, rollout="kv", kind=EventKind.STEP, step="a", number=3, share=0.25)
    )

    assert value(metrics, "weight_ratio", track="canary") == 0.25
    assert value(metrics, "weight_ratio", track="stable") == 0.75
    assert value(metrics, "step") == 3


def test_windows_are_summed_up() -> None:
    telling = simulate_rollout(failing=0.08)
    metrics = metrics_of(*telling.events)

    assert value(metrics, "requests_total", track="canary") == 62
    assert value(metrics, "failures_total", track="canary") == 4
    assert value(metrics, "requests_total", track="stable") == 7718
    windows = [each for each in telling.events if each.kind is EventKind.WINDOW]
    assert value(metrics, "last_poll_timestamp_seconds") == windows[-1].until


def test_a_baseline_is_a_track_of_its_own() -> None:
    window = Event(
        time=2,
        rollout="kv",
        kind=EventKind.WINDOW,
        share=0.1,
        baseline_share=0.1,
        stable=Counts(90, 3),  # the baseline's requests included
        canary=Counts(10, 1),
        baseline=Counts(10, 2),
    )
    metrics = metrics_of(window)

    tracks = ("stable", "canary", "baseline")
    weights = [value(metrics, "weight_ratio", track=each) for each in tracks]
    assert weights == pytest.approx([0.8, 0.1, 0.1])
    assert [value(metrics, "requests_total", track=each) for each in tracks] == [80, 10, 10]
    assert [value(metrics, "failures_total", track=each) for each in tracks] == [1, 1, 2]
    assert "stable 3/90 failed (baseline 2/10)  canary 1/10 failed" in event_line(window, 0.0)


def test_evidence_and_its_threshold_are_exported_as_logarithms() -> None:
    started = Event(time=1, rollout="kv", kind=EventKind.STARTED, thresholds=THRESHOLDS)
    values = EvidenceValues(harm=math.inf, merit=0.0, breach=10)
    window = Event(
        time=2, rollout="kv", kind=EventKind.WINDOW, evidence=values, stable=Counts(0, 0)
    )
    metrics = metrics_of(started, window)

    assert value(metrics, "evidence_log10", kind="harm") == pytest.approx(308.25, abs=0.01)
    assert value(metrics, "evidence_log10", kind="merit") == -math.inf
    assert value(metrics, "evidence_log10", kind="breach") == 1
    assert value(metrics, "evidence_threshold_log10", kind="harm") == 2


def test_the_verdict_is_one_of_four_and_zero_until_then() -> None:
    verdicts = ("promoted", "rolled_back", "inconclusive", "failed")
    before = metrics_of()
    after = metrics_of(Event(time=1, rollout="kv", kind=EventKind.ROLLED_BACK))

    assert [value(before, "verdict", verdict=each) for each in verdicts] == [0, 0, 0, 0]
    assert [value(after, "verdict", verdict=each) for each in verdicts] == [0, 1, 0, 0]


def test_the_number_of_reasons_is_bounded() -> None:
    held = [Event(time=n, rollout="kv", kind=EventKind.HELD, reason=f"why-{n}") for n in range(50)]
    metrics = metrics_of(*held)

    assert value(metrics, "holds_total", reason="why-0") == 1
    assert value(metrics, "holds_total", reason="other") == 30


async def test_a_scrape_is_valid_and_has_the_series_of_the_dashboards() -> None:
    metrics = metrics_of(*simulate_rollout(failing=0.08).events)

    async with (
        serve_metrics(metrics, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        body = await response.read()

    assert response.content_type == "text/plain"
    assert b'kv_rollout_weight_ratio{namespace="shop",rollout="kv",track="canary"} 0.0' in body
    assert check_metrics(body) == ""


async def test_a_runner_is_ready_once_it_watches_the_rollout() -> None:
    metrics = metrics_of()

    async with serve_metrics(metrics, "127.0.0.1", 0) as port, aiohttp.ClientSession() as client:

        async def status(name: str) -> int:
            async with client.get(f"http://127.0.0.1:{port}/{name}") as response:
                return response.status

        assert (await status("livez"), await status("readyz")) == (200, 503)
        metrics.observe_event(Event(time=1, rollout="kv", kind=EventKind.STARTED))
        assert (await status("livez"), await status("readyz")) == (200, 200)
