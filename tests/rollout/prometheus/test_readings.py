"""Counters from a real Prometheus are read exactly: by release, by target, slow requests too."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series
from rollout.evidence.failures import is_failure
from rollout.evidence.objective import Objective
from rollout.prometheus.query import APP, ISTIO, ReleaseLabel, app_query, istio_query
from rollout.prometheus.source import open_source
from rollout.runner.ports import SourceFailed
from svc.telemetry.metrics import Metrics
from tests.rollout.prometheus.exporters import fresh_namespace, histogram, istio_labels
from tests.rollout.prometheus.scraped_prometheus import ScrapedPrometheus
from tests.support.waiting import eventually

TRACKS = ReleaseLabel("track", "stable", "canary")
VERSIONS = ReleaseLabel("destination_version", "1.4.0", "1.5.0")
EDGES = (0.1, 0.25, 0.5)


def by_arm(reading: CounterSnapshot, arm: Arm) -> list[Counts]:
    return [counts for series, counts in reading.counts.items() if series.arm is arm]


async def test_pods_of_both_tracks_are_read(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    stable = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    canary = scraped.target(namespace=namespace, pod="kv-canary-1", track="canary")
    stable.text = histogram(APP, 200, (90, 95, 99, 100), 100) + histogram(APP, 404, (5,) * 4, 5)
    canary.text = (
        "process_start_time_seconds 1700000000.5\n"
        + histogram(APP, 200, (6, 7, 8, 8), 10, 'http_route="/a"')
        + histogram(APP, 200, (1, 1, 1, 1), 1, 'http_route="/b"')
        + histogram(APP, 503, (3, 3, 4, 4), 4)
    )

    reading = await scraped.read_until(app_query(namespace, TRACKS, EDGES), 120)

    # 15 requests, 4 of them failed; of the other 11, 7, 8 and 9 were within the edges.
    assert by_arm(reading, Arm.CANARY) == [Counts(15, 4, (8, 7, 6))]
    assert by_arm(reading, Arm.STABLE) == [Counts(105, 0, (10, 5, 1))]
    assert [(s.arm, at) for s, at in reading.started.items()] == [(Arm.CANARY, 1700000000.5)]


async def test_each_pod_is_an_instance_of_its_own(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    pods = [scraped.target(namespace=namespace, pod=f"kv-{n}", track="stable") for n in range(3)]
    for n, pod in enumerate(pods):
        pod.text = histogram(APP, 200, (n + 1,) * 4, n + 1)

    reading = await scraped.read_until(app_query(namespace, TRACKS), 6)

    assert reading.counts == {
        Series(Arm.STABLE, f"kv/{namespace}/kv-{n}/{pod.instance}"): Counts(n + 1, 0)
        for n, pod in enumerate(pods)
    }


@pytest.mark.parametrize("edges", [(), EDGES], ids=["requests alone", "with latency"])
async def test_the_metrics_of_a_gateway_are_read_by_release(
    scraped: ScrapedPrometheus, edges: tuple[float, ...]
) -> None:
    namespace = fresh_namespace()
    old, new, lost = (
        istio_labels(version, namespace=namespace) for version in ("1.4.0", "1.5.0", "unknown")
    )
    gateway = scraped.target(namespace="istio-ingress", pod="gateway-0")
    gateway.text = (
        histogram(ISTIO, 200, (40, 45, 50, 50), 50, old)
        + histogram(ISTIO, 200, (5, 5, 5, 5), 5, new)
        + histogram(ISTIO, 500, (2, 2, 2, 2), 2, new)
        + histogram(ISTIO, 0, (0, 0, 0, 1), 1, new)
        + histogram(ISTIO, 503, (7, 7, 7, 7), 7, lost)
        + f'istio_requests_total{{response_code="200",{old}}} 50\n'
        + f'istio_requests_total{{response_code="200",{new}}} 5\n'
        + f'istio_requests_total{{response_code="500",{new}}} 2\n'
        + f'istio_requests_total{{response_code="0",{new}}} 1\n'
        + f'istio_requests_total{{response_code="503",{lost}}} 7\n'
        + f'istio_requests_total{{response_code="200",{istio_labels("1.5.0", "web")}}} 900\n'
    )
    query = istio_query("kv", namespace, VERSIONS, edges)

    reading = await scraped.read_until(query, 58)

    name = f"kv/istio-ingress/gateway-0/{gateway.instance}"
    assert reading.counts == {
        Series(Arm.STABLE, name): Counts(50, 0, (10, 5, 0) if edges else ()),
        Series(Arm.CANARY, name): Counts(8, 3, (3, 3, 3) if edges else ()),
        Series(Arm.NEITHER, name): Counts(7, 7, (7, 7, 7) if edges else ()),
    }
    assert reading.paired
    async with open_source(scraped.server(), query) as source:
        await source.read()
        assert source.unattributed == 7


async def test_with_edges_the_histogram_alone_is_read(scraped: ScrapedPrometheus) -> None:
    """A proxy updates its counters before its histograms: unflushed requests are not slow."""
    namespace = fresh_namespace()
    labels = istio_labels("1.5.0", namespace=namespace)
    gateway = scraped.target(namespace="istio-ingress", pod="gateway-0")
    gateway.text = histogram(ISTIO, 200, (5, 5, 5, 5), 5, labels)
    gateway.text += f'istio_requests_total{{response_code="200",{labels}}} 90\n'

    with_edges = await scraped.read_until(istio_query("kv", namespace, VERSIONS, (0.1,)), 5)
    without = await scraped.read_until(istio_query("kv", namespace, VERSIONS), 90)

    assert by_arm(with_edges, Arm.CANARY) == [Counts(5, 0, (0,))]
    assert by_arm(without, Arm.CANARY) == [Counts(90, 0)]


async def test_a_restarted_pod_is_read_from_zero_with_its_start_time(
    scraped: ScrapedPrometheus,
) -> None:
    namespace = fresh_namespace()
    pod = scraped.target(namespace=namespace, pod="kv-1", track="canary")
    pod.text = "process_start_time_seconds 1000\n" + histogram(APP, 200, (50,) * 4, 50)
    before = await scraped.read_until(app_query(namespace, TRACKS), 50)

    pod.text = "process_start_time_seconds 2000\n" + histogram(APP, 200, (3,) * 4, 3)
    after = await scraped.read_until(app_query(namespace, TRACKS), 3)

    assert before.counts.keys() == after.counts.keys()
    assert [list(each.started.values()) for each in (before, after)] == [[1000], [2000]]
    assert after.at > before.at


async def test_a_missed_scrape_leaves_a_pod_out_and_never_reads_zero(
    scraped: ScrapedPrometheus,
) -> None:
    namespace = fresh_namespace()
    query = app_query(namespace, TRACKS)
    well = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    sick = scraped.target(namespace=namespace, pod="kv-2", track="canary")
    well.text, sick.text = (histogram(APP, 200, (n,) * 4, n) for n in (10, 20))
    await scraped.read_until(query, 30)

    sick.status = 500
    missed = await scraped.read_until(query, 10)
    sick.status, sick.text = 200, histogram(APP, 200, (21,) * 4, 21)
    back = await scraped.read_until(query, 31)

    assert by_arm(missed, Arm.CANARY) == []
    assert by_arm(back, Arm.CANARY) == [Counts(21, 0)]


async def test_a_call_of_grpc_fails_by_its_own_status_and_counts_once(
    scraped: ScrapedPrometheus,
) -> None:
    """As in a rehearsal (``is_failure``): HTTP's status of such a call is 200."""
    namespace = fresh_namespace()
    new = istio_labels("1.5.0", namespace=namespace)
    gateway = scraped.target(namespace="istio-ingress", pod="gateway-0")
    gateway.text = histogram(ISTIO, 200, (7, 7, 7, 7), 7, new) + "".join(
        histogram(ISTIO, http, (1, 1, 1, 1), 1, f'{new},grpc_response_status="{status}"')
        for http, status in ((200, 0), (200, 5), (200, 2), (200, 14), (503, 14))
    )

    reading = await scraped.read_until(istio_query("kv", namespace, VERSIONS, EDGES), 12)

    failed = sum(is_failure(http, grpc) for http, grpc in ((200, 2), (200, 14), (503, 14)))
    assert by_arm(reading, Arm.CANARY) == [Counts(12, failed, (failed,) * 3)]


async def test_the_reading_has_the_time_of_the_samples(scraped: ScrapedPrometheus) -> None:
    """Each series has the time of its own sample; ``at`` is the time of the query."""
    namespace = fresh_namespace()
    query = app_query(namespace, TRACKS)
    pod = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    pod.text = f'{APP.counter}{{{APP.failed[0][0]}="200"}} 5 {1_000 * 1_000}\n'
    now = scraped.prometheus.query("time()")[0].value
    exposed_at = round(now - 100, 3)
    # With an explicit timestamp (a federated series) Prometheus writes no staleness marker.
    pod.text = f'{APP.counter}{{{APP.failed[0][0]}="200"}} 5 {int(exposed_at * 1000)}\n'

    async def look() -> CounterSnapshot | None:
        with contextlib.suppress(SourceFailed):
            return await scraped.read(query, stale_seconds=3600)
        return None

    reading = await eventually(look, what="the old sample")

    assert list(reading.sampled.values()) == [pytest.approx(exposed_at, abs=0.001)]
    assert reading.at >= now
    with pytest.raises(SourceFailed, match=r"youngest sample .* is 1\d\d s old, more than 60 s"):
        await scraped.read(query)


async def test_all_counters_of_a_reading_are_from_one_scrape(scraped: ScrapedPrometheus) -> None:
    """All counters grow equally with each scrape, so a mix of two scrapes would show."""
    namespace = fresh_namespace()
    query = app_query(namespace, TRACKS, EDGES)
    pod = scraped.target(namespace=namespace, pod="kv-1", track="canary")

    def grow() -> None:
        n = pod.scrapes + 1
        pod.text = histogram(APP, 200, (n,) * 4, n) + histogram(APP, 500, (n,) * 4, n)

    seen: set[int] = set()

    async def look() -> bool:
        grow()
        with contextlib.suppress(SourceFailed):
            (counts,) = (await scraped.read(query)).counts.values()
            assert counts == Counts(2 * counts.failures, counts.failures, (counts.failures,) * 3)
            seen.add(counts.requests)
        return len(seen) >= 8

    await eventually(look, what="eight different readings")


async def test_the_metrics_of_the_service_are_read(scraped: ScrapedPrometheus) -> None:
    namespace = fresh_namespace()
    metrics = Metrics("revision")
    for status, seconds in (("200", 0.002), ("200", 0.2), ("404", 0.002), ("503", 0.002)):
        metrics.requests["GET", "/v1/kv/{key}", status].observe(seconds)
    pod = scraped.target(namespace=namespace, pod="kv-1", track="canary")
    pod.text = generate_latest(metrics.registry).decode()

    reading = await scraped.read_until(app_query(namespace, TRACKS, (0.1, 0.5)), 4)

    assert by_arm(reading, Arm.CANARY) == [Counts(4, 1, (2, 1))]
    (started,) = reading.started.values()
    assert started == pytest.approx(process_started(), abs=1)


def process_started() -> float:
    """Return the start time of this process in Unix time, from /proc."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(
        float(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime")
    )
    return booted + ticks / os.sysconf("SC_CLK_TCK")


async def test_of_the_default_thresholds_the_next_bound_is_taken(
    scraped: ScrapedPrometheus,
) -> None:
    namespace = fresh_namespace()
    pod = scraped.target(namespace=namespace, pod="kv-1", track="stable")
    pod.text = histogram(APP, 200, (90, 95, 99, 100), 100)
    edges = Objective().slow_seconds

    reading = await scraped.read_until(app_query(namespace, TRACKS, edges), 100)

    (counts,) = reading.counts.values()
    slow = dict(zip(edges, counts.slow, strict=True))
    # The histogram has bounds at 0.1, 0.25, 0.5 and infinity.
    assert (slow[0.005], slow[0.1], slow[0.25], slow[0.5]) == (10, 10, 5, 1)
    assert slow[1.0] == slow[5.0] == 0
