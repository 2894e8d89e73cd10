"""A real Prometheus scrapes a stable and a canary pod as the PodMonitor says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.pairs import Release, running_release
from tests.support.plain_http import fetch
from tests.support.pod_monitor import Pod, scrape_job, write_pods
from tests.support.prometheus import Prometheus, Series, check_metrics, running_prometheus
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.waiting import until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TEXTS = ("text/plain; version=0.0.4", "text/plain; version=1.0.0; escaping=underscores")
#: The series that Prometheus itself adds for each target.
OWN_SERIES = "up|scrape_.+"
APP_SERIES = f'{{job="kv",__name__!~"{OWN_SERIES}"}}'


@dataclass
class Scraped:
    """Two releases, and the Prometheus that scrapes them."""

    stable: Release
    canary: Release
    prometheus: Prometheus

    @property
    def releases(self) -> tuple[Release, Release]:
        return self.stable, self.canary


def unselected_pods(release: Release) -> list[Pod]:
    """Return pods that the PodMonitor must not select. Each would answer a scrape."""
    pod = release.pod
    return [
        Pod("redis-0", {**pod.labels, "app.kubernetes.io/name": "redis"}, pod.ports),
        Pod("kv-done-0", pod.labels, pod.ports, phase="Succeeded"),
        Pod("kv-elsewhere-0", pod.labels, pod.ports, namespace="elsewhere"),
    ]


@pytest.fixture(scope="module")
def scraped(
    shared_redis: RedisServer,
    pod_monitor: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scraped]:
    directory = tmp_path_factory.mktemp("prometheus")
    pods_file = directory / "pods.json"
    environ = {"KV_DRAIN_SECONDS": "0"}
    with (
        running_release("stable", shared_redis.url, environ) as stable,
        running_release("canary", shared_redis.url, environ) as canary,
    ):
        write_pods(pods_file, [stable.pod, canary.pod, *unselected_pods(stable)])
        job = scrape_job(pod_monitor, pods_file, namespace="shop")
        with running_prometheus(directory, [job]) as prometheus:
            pair = Scraped(stable, canary, prometheus)
            for release in pair.releases:
                some_traffic(release)
            until(
                lambda: len(prometheus.query("http_server_request_duration_seconds_count")) > 8,
                what="the first scrapes",
            )
            yield pair


def some_traffic(release: Release) -> None:
    base = release.service.base
    fetch(f"{base}/v1/kv/greeting", "PUT", b"hello", Content_Type="text/plain")
    fetch(f"{base}/v1/kv/greeting")
    fetch(f"{base}/v1/kv/nothing")
    fetch(f"{base}/v1/counters/n/increments", "POST", b"{}")
    fetch(f"{base}/v1/batch", "POST", b'{"operations":[{"op":"get","key":"greeting"}]}')
    fetch(f"{base}/no/such/route", "DELETE")


def read_strictly(exposition: bytes) -> Iterator[Metric]:
    families: Iterator[Metric] = text_string_to_metric_families(  # type: ignore[no-untyped-call]
        exposition.decode()
    )
    return families


def test_exactly_the_admin_ports_of_the_running_pods_are_targets(scraped: Scraped) -> None:
    targets = scraped.prometheus.targets()

    assert {(target.url, target.labels["pod"]) for target in targets} == {
        (f"{release.service.admin_base}/metrics", release.pod_name) for release in scraped.releases
    }
    # One for each other port and pod in the service discovery.
    assert len(scraped.prometheus.dropped_targets()) == 2 + 3 * 2


def test_every_target_is_up_and_says_which_release_it_is(scraped: Scraped) -> None:
    def both_up() -> list[Series] | None:
        """On a busy machine a single scrape may fail."""
        found = scraped.prometheus.query("up")
        return found if [series.value for series in found] == [1, 1] else None

    up = until(both_up, what="both targets up") or []
    for release in scraped.releases:
        (labels,) = [each.labels for each in up if each.labels["pod"] == release.pod_name]
        assert labels == {
            "__name__": "up",
            "job": "kv",
            "namespace": "shop",
            "pod": release.pod_name,
            "container": "kv",
            "endpoint": "admin",
            "instance": f"127.0.0.1:{release.service.admin_port}",
            "version": release.version,
            "track": release.track,
        }


def test_every_series_of_the_service_carries_version_and_track(scraped: Scraped) -> None:
    found = scraped.prometheus.series(APP_SERIES)

    assert len({labels["__name__"] for labels in found}) > 30
    assert {(labels.get("version"), labels.get("track")) for labels in found} == {
        (release.version, release.track) for release in scraped.releases
    }


def test_no_label_of_the_service_collides_with_a_target_label(scraped: Scraped) -> None:
    found = scraped.prometheus.series(APP_SERIES)

    assert [labels for labels in found if any(n.startswith("exported_") for n in labels)] == []


def test_a_pod_has_far_fewer_series_than_the_limit(
    scraped: Scraped, pod_monitor: dict[str, Any]
) -> None:
    counted = until(lambda: scraped.prometheus.query("scrape_samples_scraped > 0"), what="samples")

    assert len(counted) == 2
    for series in counted:
        assert 100 < series.value < pod_monitor["spec"]["sampleLimit"] / 2


@pytest.mark.parametrize("accept", TEXTS)
def test_promtool_accepts_the_text_format(scraped: Scraped, accept: str) -> None:
    answer = fetch(f"{scraped.canary.service.admin_base}/metrics", Accept=accept)

    assert answer.headers["Content-Type"].startswith(accept.partition(" escaping")[0].strip(";"))
    assert b"http_server_request_duration_seconds_bucket" in answer.body
    assert check_metrics(answer.body) == ""


def test_promtool_would_have_complained() -> None:
    """Test of the test: a counter without its suffix."""
    assert "_total" in check_metrics(b"# HELP n N.\n# TYPE n counter\nn 1\n")


def test_a_strict_reader_takes_the_openmetrics_format(scraped: Scraped) -> None:
    answer = fetch(f"{scraped.canary.service.admin_base}/metrics", Accept=OPENMETRICS)

    families = {family.name: family for family in read_strictly(answer.body)}
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert families["http_server_request_duration_seconds"].type == "histogram"
    assert [name for name, family in families.items() if not family.documentation] == []
    assert [name for name in families if name.endswith("_created")] == []


async def test_a_killed_process_leaves_nothing_behind_in_the_next(scraped: Scraped) -> None:
    prometheus, service = scraped.prometheus, scraped.canary.service
    pod = f'pod="{scraped.canary.pod_name}"'
    only_before = (
        f'http_server_request_duration_seconds_count{{{pod},http_request_method="DELETE"}}'
    )
    born = f"process_start_time_seconds{{{pod}}}"
    active = f"http_server_active_requests{{{pod}}}"
    first_born = prometheus.value(born)

    async with raw_connection(service.port) as wire:
        await wire.send(
            "PUT /v1/kv/slow HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n",
            "Content-Length: 10\r\n\r\n",
            "first",
        )
        until(lambda: prometheus.value(active) == 1, what="a request under way")
        until(lambda: prometheus.value(only_before) == 1, what="a request of before")
        service.stop()
        until(lambda: prometheus.value(f"up{{{pod}}}") == 0, what="the death to be seen")

    assert prometheus.query(f'{{job="kv",{pod},__name__!~"{OWN_SERIES}"}}') == []

    service.start()
    until(lambda: prometheus.value(f"up{{{pod}}}") == 1, what="the next process")
    until(lambda: prometheus.value(active) == 0, what="its first scrape")
    assert prometheus.query(only_before) == []
    assert (prometheus.value(born) or 0) > (first_born or time.time())
