"""Native histograms are read as well as classic ones: requests, failures, and slow requests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series, Window
from rollout.evidence.objective import Objective
from rollout.evidence.windows import WindowBuilder
from rollout.prometheus.aggregation import aggregate
from rollout.prometheus.history import read_history
from rollout.prometheus.native_histogram import Bucket, NativeHistogram
from rollout.prometheus.query import Query, ReleaseLabel, app_query, istio_query
from rollout.prometheus.response import parse_response
from rollout.prometheus.source import PrometheusServer, open_source
from rollout.runner.ports import SourceFailed
from svc.telemetry.metrics import Metrics
from svc.telemetry.protobuf_exposition import CONTENT_TYPE, encode
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.waiting import eventually

TRACKS = ReleaseLabel("track", "stable", "canary")
EDGES = (0.1, 0.5)
#: By pod: its track, and the statuses and durations of its requests.
REQUESTS: Mapping[str, tuple[str, list[tuple[str, float]]]] = {
    "native": ("stable", [("200", 0.002)] * 40 + [("200", 0.3)] * 6 + [("503", 0.002)] * 4),
    "canary": ("canary", [("200", 0.09), ("200", 0.102), ("200", 0.2), ("404", 0.6), ("500", 9.0)]),
    "classic": ("stable", [("200", 0.002)] * 9 + [("200", 0.3)]),
    "both": ("stable", [("200", 0.002)] * 7 + [("500", 0.3)]),
}


class Classic(Collector):
    """The series of a classic histogram beside a native one, as Prometheus 3 can keep both.

    They have one request more, so that it is seen which are read.
    """

    def collect(self) -> Iterator[GaugeMetricFamily]:
        query = app_query("shop", TRACKS)
        [(label, _)] = query.metrics.failed
        count = GaugeMetricFamily(query.counter, "", labels=[label])
        bucket = GaugeMetricFamily(f"{query.native}_bucket", "", labels=[label, "le"])
        for status, within, requests in (("200", 8, 8), ("500", 0, 1)):
            count.add_metric([status], requests)
            for bound, number in (("0.1", within), ("0.5", requests), ("+Inf", requests)):
                bucket.add_metric([status, bound], number)
        yield from (count, bucket)


def exposition(pod: str) -> tuple[bytes, str]:
    """Return what a pod of the service shows, and its type."""
    metrics = Metrics("revision")
    for status, seconds in REQUESTS[pod][1]:
        metrics.requests["GET", "/v1/kv/{key}", status].observe(seconds)
    if pod == "both":
        metrics.registry.register(Classic())
    if pod == "classic":
        return generate_latest(metrics.registry), "text/plain; version=0.0.4"
    return encode(metrics.registry), CONTENT_TYPE


@contextlib.contextmanager
def exposed() -> Iterator[dict[str, Any]]:
    """Serve the pods' metrics; yield the scrape job."""
    shown = {f"/{pod}": exposition(pod) for pod in REQUESTS}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, content_type = shown[self.path]
            with contextlib.suppress(ConnectionError):
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, name="pods")
    thread.start()
    try:
        yield {
            "job_name": "kv",
            "static_configs": [
                {
                    "targets": [f"127.0.0.1:{server.server_port}"],
                    "labels": {
                        "__metrics_path__": f"/{pod}",
                        "namespace": "shop",
                        "pod": pod,
                        "track": track,
                    },
                }
                for pod, (track, _) in REQUESTS.items()
            ],
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that keeps only the native ones, as all do before 2.45."""
    directory: Path = tmp_path_factory.mktemp("prometheus")
    with (
        exposed() as job,
        running_prometheus(directory, [job], features="native-histograms") as server,
    ):
        yield server


async def read_all(prometheus: Prometheus, query: Query) -> CounterSnapshot:
    """Read until all pods have been scraped."""
    async with open_source(PrometheusServer(url=prometheus.base), query) as source:

        async def look() -> CounterSnapshot | None:
            with contextlib.suppress(SourceFailed):
                reading = await source.read()
                return reading if len(reading.counts) == len(REQUESTS) else None
            return None

        found: CounterSnapshot = await eventually(look, what="a scrape of all pods")
        return found


def by_pod(reading: CounterSnapshot) -> dict[str, tuple[Arm, Counts]]:
    return {
        next(pod for pod in REQUESTS if f"/{pod}/" in series.instance): (series.arm, counts)
        for series, counts in reading.counts.items()
    }


async def test_pods_with_native_and_with_classic_histograms_are_read(
    prometheus: Prometheus,
) -> None:
    reading = await read_all(prometheus, app_query("shop", TRACKS, EDGES))

    # 0.102 s is within 2^(-13/4) s, the next boundary above 0.1 s.
    assert by_pod(reading) == {
        "native": (Arm.STABLE, Counts(50, 4, (10, 4))),
        "canary": (Arm.CANARY, Counts(5, 1, (3, 2))),
        "classic": (Arm.STABLE, Counts(10, 0, (1, 0))),
        "both": (Arm.STABLE, Counts(9, 1, (1, 1))),
    }
    assert reading.started.keys() == reading.sampled.keys() == reading.counts.keys()


async def test_requests_are_counted_without_edges(prometheus: Prometheus) -> None:
    reading = await read_all(prometheus, app_query("shop", TRACKS))

    assert by_pod(reading) == {
        "native": (Arm.STABLE, Counts(50, 4)),
        "canary": (Arm.CANARY, Counts(5, 1)),
        "classic": (Arm.STABLE, Counts(10, 0)),
        "both": (Arm.STABLE, Counts(9, 1)),
    }


async def test_the_past_is_read_as_well(prometheus: Prometheus) -> None:
    query = app_query("shop", TRACKS, EDGES)
    now = (await read_all(prometheus, query)).at

    async with open_source(PrometheusServer(url=prometheus.base), query) as source:
        (reading,) = [
            each
            async for each in read_history(
                source, query, stale_seconds=60, since=now, until=now, step_seconds=1
            )
        ]

    assert isinstance(reading, CounterSnapshot)
    assert by_pod(reading)["canary"] == (Arm.CANARY, Counts(5, 1, (3, 2)))


def shown(buckets: list[list[Any]], **labels: str) -> dict[str, Any]:
    """Return a native histogram as Prometheus' API shows it."""
    count = str(sum(int(each[3]) for each in buckets))
    return {
        "metric": {"job": "kv", "pod": "gateway", "destination_version": "1.5.0", **labels},
        "histogram": [1000.0, {"count": count, "sum": "1", "buckets": buckets}],
    }


def istio_counts(edges: tuple[float, ...]) -> Counts:
    """Read Istio's histogram with custom boundaries, as Prometheus 3 can store classic ones."""
    result = [
        shown([[0, "-Inf", "0.5", "2"], [0, "100", "250", "4"]], response_code="200"),
        shown([[0, "-Inf", "0.5", "1"]], response_code="503"),
        {
            "metric": {"rollout_part": "sampled", "job": "kv", "pod": "gateway"},
            "value": [1000.0, "999"],
        },
    ]
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    query = istio_query("kv", "shop", ReleaseLabel("destination_version", "1.4.0", "1.5.0"), edges)
    found = aggregate(parse_response(200, json.dumps(document).encode()), query, 60)
    (counts,) = found.reading.counts.values()
    return counts


def test_classic_boundaries_in_a_native_histogram_are_read_in_their_unit() -> None:
    assert istio_counts((0.0005, 0.1, 0.25)) == Counts(7, 1, (5, 5, 1))


def test_of_the_default_thresholds_the_next_boundary_is_taken() -> None:
    counts = istio_counts(Objective().slow_seconds)

    slow = dict(zip(Objective().slow_seconds, counts.slow, strict=True))
    assert (slow[0.005], slow[0.1], slow[0.25], slow[5.0]) == (5, 5, 1, 1)


def test_of_a_native_histogram_the_next_boundary_is_taken() -> None:
    assert istio_counts((0.02, 0.2)) == Counts(7, 1, (5, 1))


@pytest.mark.parametrize(
    ("bound", "within"),
    [
        (0.088, 0),
        (0.09, 1),
        (0.1, 1),
        (0.105, 1),
        (0.1052, 3),
        (0.125, 3),
        (0.2, 3),
        (0.3, 5),
        (1.0, 5),
    ],
)
def test_a_threshold_of_an_exponential_histogram_is_moved_up(bound: float, within: int) -> None:
    """Its boundaries are powers of 2^(1/8); those of the thresholds are powers of 2^(1/4)."""
    histogram = NativeHistogram(
        5,
        (
            Bucket(2**-3.5, 2**-3.25, 1),  # 0.088 to 0.105
            Bucket(2**-3.125, 2**-3, 2),  # 0.115 to 0.125
            Bucket(2**-1.875, 2**-1.75, 2),  # 0.273 to 0.297
        ),
    )

    assert histogram.within([bound]) == [within]


def test_what_is_slow_stays_slow_when_the_histogram_gets_fewer_buckets() -> None:
    """From eight buckets for a doubling to four: each pair of buckets becomes one."""
    fine = [Bucket(2 ** (n / 8), 2 ** ((n + 1) / 8), n + 1) for n in range(-40, 8) if n % 3]
    coarse: dict[int, float] = {}
    for n in range(-40, 8):
        if n % 3:
            coarse[n // 2] = coarse.get(n // 2, 0) + n + 1
    pairs = tuple(Bucket(2 ** (n / 4), 2 ** ((n + 1) / 4), of) for n, of in coarse.items())

    edges = Objective().slow_seconds
    before = NativeHistogram(0, tuple(fine)).within(edges)
    assert NativeHistogram(0, pairs).within(edges) == before
    assert len(before) == len(edges)


def test_a_change_of_the_buckets_counts_no_request_again() -> None:
    """Of a pod, whose start is known; and from native to classic, where more become slow."""
    series = Series(Arm.CANARY, "pod")
    builder = WindowBuilder(1)
    windows: list[Window] = []
    for number, (requests, slow) in enumerate([(5000, 900), (5100, 800), (5200, 850), (5230, 990)]):
        at = 1000.0 + 5 * number
        snapshot = CounterSnapshot(
            at, {series: Counts(requests, 40, (slow,))}, {series: 10.0}, {series: at}, paired=True
        )
        windows += builder.add(snapshot)

    assert [each.canary for each in windows] == [
        Counts(100, 0, (0,)),
        Counts(100, 0, (50,)),
        Counts(30, 0, (30,)),
    ]


@pytest.mark.parametrize(
    "histogram",
    [{}, {"count": "NaN"}, {"count": "x"}, {"count": "1", "buckets": [[0, "1"]]}, []],
)
def test_what_is_no_histogram_is_refused(histogram: Any) -> None:
    result = [{"metric": {}, "histogram": [1000.0, histogram]}]
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}

    with pytest.raises(SourceFailed, match="shape of Prometheus' API"):
        parse_response(200, json.dumps(document).encode())
