"""Every panel, rule and exemplar on real data: a stable release and a bad canary under load."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from grafana.build import FOLDER
from tests.support.dashboards import expressions, marks
from tests.support.mesh_view import MeshView
from tests.support.otlp import Collector, running_collector
from tests.support.pairs import Release, running_release
from tests.support.pod_monitor import scrape_job, write_pods
from tests.support.prometheus import Exemplar, Prometheus, Rule, Series, running_prometheus
from tests.support.promql import selectors
from tests.support.redis_servers import RedisServer
from tests.support.rule_files import committed_rules, write_hastened
from tests.support.traffic import Destination, Traffic
from tests.support.waiting import until

#: For what takes many requests or scrapes.
PATIENT_SECONDS: Final = 180.0

WEIGHTS: Final = {"stable": 0.8, "canary": 0.2}
#: With so many requests, the shares and the canary's error ratio are 5 standard deviations inside
#: what is asserted of them.
ERROR_RATIO: Final = 0.3
ENOUGH_REQUESTS: Final = 3000
CHOSEN: Final = {"namespace": "shop", "job": "kv", "__rate_interval": "30s"}
REQUESTS: Final = "http_server_request_duration_seconds"

STORE_TIMEOUT_MS: Final = 1000
COMMON: Final = {
    "KV_MAX_IN_FLIGHT": "8",
    "KV_QUEUE_MS": "0",
    "KV_STORE_TIMEOUT_MS": str(STORE_TIMEOUT_MS),
    "KV_HEADER_TIMEOUT_SECONDS": "0.3",
    "OTEL_BSP_SCHEDULE_DELAY": "300",
}
BAD: Final = {
    "KV_FAULT_ERROR_RATIO": str(ERROR_RATIO),
    "KV_FAULT_LATENCY_MS": "40",
    "KV_FAULT_LATENCY_RATIO": "0.3",
}

#: Metrics without a series here, with the reason. A test checks that there is none.
#: tests/svc/door checks that a service that has TLS or tokens exports them.
ABSENT: Final[dict[str, str]] = {
    "kv_tls_handshakes_failed_total": "the ports have no TLS",
    "kv_tls_certificate_expiry_timestamp_seconds": "the ports have no TLS",
    "kv_tokens": "there is no tokens file",
    "kv_tokens_file_broken": "there is no tokens file",
}

RULES: Final = committed_rules()
RECORDING: Final = [rule for rule in RULES if not rule.alert]
ALERTS: Final = [rule for rule in RULES if rule.alert]
PANELS: Final = [
    found
    for path in sorted(FOLDER.glob("*.json"))
    for dashboard in [json.loads(path.read_text())]
    for found in (*expressions(dashboard, **CHOSEN), *marks(dashboard, **CHOSEN))
]


@dataclass
class Live:
    """The two releases under traffic, their Prometheus and their collector."""

    prometheus: Prometheus
    collector: Collector
    traffic: Traffic


@pytest.fixture(scope="module")
def live(
    shared_redis: RedisServer,
    pod_monitor: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    directory = tmp_path_factory.mktemp("prometheus")
    view = MeshView()
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(running_collector())
        common = {**COMMON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        releases = [
            stack.enter_context(running_release(track, shared_redis.url, {**common, **more}))
            for track, more in (("stable", {}), ("canary", BAD))
        ]
        write_pods(directory / "pods.json", [release.pod for release in releases])
        jobs = [
            scrape_job(pod_monitor, directory / "pods.json", namespace="shop"),
            *stack.enter_context(view.exposed()),
        ]
        prometheus = stack.enter_context(
            running_prometheus(directory, jobs, rule_files=write_hastened(directory))
        )
        traffic = Traffic([destination(release) for release in releases], WEIGHTS, view)
        stack.enter_context(traffic.flowing())
        until(lambda: up(prometheus) == 2, what="the first scrapes")
        stall(shared_redis)
        until(lambda: errors_alert(prometheus), seconds=PATIENT_SECONDS, what="the alert")
        until(lambda: unseen_errors(prometheus), what="the requests that reached no pod")
        until(
            lambda: (prometheus.value(f"sum({REQUESTS}_count)") or 0) > ENOUGH_REQUESTS,
            seconds=PATIENT_SECONDS,
            what="enough requests",
        )
        yield Live(prometheus, collector, traffic)


def destination(release: Release) -> Destination:
    return Destination(release.track, release.version, release.service.port)


def stall(server: RedisServer) -> None:
    """Pause Redis for twice as long as the service waits."""
    with contextlib.closing(server.client()) as client:
        client.execute_command("CLIENT", "PAUSE", 2 * STORE_TIMEOUT_MS, "ALL")  # type: ignore[no-untyped-call]


def up(prometheus: Prometheus) -> float | None:
    return prometheus.value('count(http_server_active_requests{job="kv"})')


def errors_alert(prometheus: Prometheus) -> list[Series]:
    """Return what fires because the canary has more errors than stable."""
    labels = 'alertname="KVCanaryWorseThanStable", signal="errors", alertstate="firing"'
    return prometheus.query(f"ALERTS{{{labels}}}")


def unseen_errors(prometheus: Prometheus) -> list[Series]:
    """Return the rates above zero. A counter's first sample shows none."""
    return prometheus.query('track_version:istio_request_errors:rate5m{version="unknown"} > 0')


def present(expression: str) -> list[str]:
    """Return the selectors of the expression, without those of metrics that are absent here."""
    return [each for each in selectors(expression) if each.partition("{")[0] not in ABSENT]


def finds(prometheus: Prometheus, expression: str) -> bool:
    """Return True if the expression has a number, now or in the last seconds."""
    return any(
        not math.isnan(value)
        for series in prometheus.query_range(expression, seconds=20)
        for _, value in series.points
    )


def finding_nothing(prometheus: Prometheus, expressions: Iterable[str]) -> list[str]:
    """Return the expressions that keep finding nothing: some need several scrapes or a burst."""
    left = list(dict.fromkeys(expressions))

    def all_found() -> bool:
        left[:] = [each for each in left if not finds(prometheus, each)]
        return not left

    with contextlib.suppress(AssertionError):
        until(all_found)
    return left


def test_everything_that_should_be_scraped_is(live: Live) -> None:
    targets = {target.labels["job"] for target in live.prometheus.targets()}

    assert targets == {"kv", "istio-proxies", "kv-rollout"}
    # On a busy machine a single scrape may fail.
    until(lambda: {target.error for target in live.prometheus.targets()} == {""}, what="a scrape")
    until(lambda: len(live.prometheus.query("up == 1")) == 4, what="a scrape of each")


def test_the_traffic_is_of_all_kinds(live: Live) -> None:
    """Make sure that the other tests have data."""
    expected = {200, 201, 204, 400, 404, 405, 409, 412, 500, 503}
    counted = [
        *(
            f'kv_requests_rejected_total{{reason="{reason}"}} > 0'
            for reason in ("overloaded", "malformed", "header_timeout")
        ),
        *(
            f'kv_operations_total{{result="{result}"}} > 0'
            for result in ("ok", "hit", "miss", "conflict", "error")
        ),
    ]

    until(lambda: {status for _, status in list(live.traffic.answers)} >= expected, what="traffic")
    for each in counted:
        assert until(lambda each=each: live.prometheus.query(each), what=each)  # type: ignore[misc]


def test_every_rule_is_evaluated_without_an_error(live: Live) -> None:
    assert len(live.prometheus.rules()) == len(RULES)

    def evaluated() -> list[Rule] | None:
        rules = live.prometheus.rules()
        return None if any(rule.health == "unknown" for rule in rules) else rules

    rules = until(evaluated, what="the evaluation") or []
    assert [rule for rule in rules if rule.health != "ok"] == []


def test_every_recording_rule_records_something(live: Live) -> None:
    assert len(RECORDING) > 10

    assert finding_nothing(live.prometheus, (rule.expression for rule in RECORDING)) == []
    assert finding_nothing(live.prometheus, (rule.recorded for rule in RECORDING)) == []


def test_every_alert_reads_only_series_that_exist(live: Live) -> None:
    read = [selector for rule in ALERTS for selector in present(rule.expression)]

    assert len(ALERTS) > 10
    assert finding_nothing(live.prometheus, read) == []


def test_every_alert_would_find_something_if_its_thresholds_were_passed(live: Live) -> None:
    """With a typo in a label an alert would match no series and never fire."""
    positive = [
        rule
        for rule in ALERTS
        if not rule.excludes and present(rule.expression) == [*selectors(rule.expression)]
    ]

    assert len(positive) > 8
    assert finding_nothing(live.prometheus, (rule.unfiltered for rule in positive)) == []


def test_every_panel_shows_something(live: Live) -> None:
    assert len(PANELS) > 40

    shown = [expression for _, expression in PANELS if present(expression)]

    assert finding_nothing(live.prometheus, shown) == []
    assert [metric for metric in ABSENT if finds(live.prometheus, metric)] == []
    assert len(PANELS) - len(shown) <= 0.05 * len(PANELS)


def test_no_panel_lives_on_its_fallback_alone(live: Live) -> None:
    """``or 0 * …`` would hide a misspelt metric, so each series of a panel must exist."""
    read = [selector for _, expression in PANELS for selector in present(expression)]

    assert finding_nothing(live.prometheus, read) == []


def by_track(prometheus: Prometheus, expression: str) -> dict[str, float]:
    """Return the value of each track, when there is one of both."""

    def values() -> dict[str, float] | None:
        found = {each.labels["track"]: each.value for each in prometheus.query(expression)}
        return found if set(found) == set(WEIGHTS) else None

    return until(values, what=expression) or {}


def test_the_bad_canary_is_seen_to_be_worse_than_stable(live: Live) -> None:
    ratios = by_track(live.prometheus, "track_version:http_server_request_errors:ratio_rate5m")

    assert ratios["canary"] > 2 * ratios["stable"] + 0.005
    assert 0.5 * ERROR_RATIO < ratios["canary"] < 2 * ERROR_RATIO
    (alert,) = until(lambda: errors_alert(live.prometheus), what="the alert")
    assert (alert.labels["track"], alert.labels["version"]) == ("canary", "1.1.0")
    assert alert.labels["namespace"] == "shop"


def test_the_actual_split_is_close_to_the_desired_one(live: Live) -> None:
    shares = by_track(
        live.prometheus,
        f"sum by (track) ({REQUESTS}_count) / on () group_left () sum({REQUESTS}_count)",
    )
    desired = by_track(live.prometheus, "kv_rollout_weight_ratio")

    assert desired == WEIGHTS
    assert shares == pytest.approx(WEIGHTS, abs=0.05)


def test_the_mesh_saw_failures_that_the_service_never_did(live: Live) -> None:
    assert len(until(lambda: unseen_errors(live.prometheus), what="the failures")) == 1


def exemplars(prometheus: Prometheus) -> list[Exemplar]:
    return prometheus.exemplars(f"{REQUESTS}_bucket")


def test_every_exemplar_leads_to_a_trace_that_the_collector_has(live: Live) -> None:
    def enough() -> list[Exemplar] | None:
        found = exemplars(live.prometheus)
        both = {each.series["track"] for each in found} == {"stable", "canary"}
        return found if both and len({each.labels["span_id"] for each in found}) >= 20 else None

    found = until(enough, what="the exemplars") or []
    named = {(each.labels["trace_id"], each.labels["span_id"]) for each in found}
    until(
        lambda: named <= {(span.trace_id, span.span_id) for span in live.collector.spans},
        what="the spans",
    )


def test_no_exemplar_comes_from_a_request_that_was_not_sampled(live: Live) -> None:
    def of_sampled() -> set[str] | None:
        named = {each.labels["trace_id"] for each in exemplars(live.prometheus)}
        return named if named & live.traffic.sampled else None

    named = until(of_sampled, what="an exemplar") or set()
    assert len(live.traffic.unsampled) > 100
    assert named & live.traffic.unsampled == set()
    assert live.collector.trace_ids & live.traffic.unsampled == set()
