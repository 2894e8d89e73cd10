"""Prometheus' protobuf exposition: classic and native histograms in one scrape."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import pytest

from svc.telemetry import protobuf_exposition
from svc.telemetry.metrics import REQUEST_BOUNDS, Metrics
from svc.telemetry.protobuf_exposition import CONTENT_TYPE, encode, is_wanted
from tests.support.plain_http import fetch
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.redis_servers import RedisServer
from tests.support.services import service_process
from tests.support.waiting import until

PROTOBUF: Final = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
#: What Prometheus 2.42 and 3 send if they store native histograms.
SENT: Final = (
    f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5,*/*;q=0.1",
    f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1",
)
REQUESTS: Final = "http_server_request_duration_seconds"

Message = dict[int, list[Any]]


def read(body: bytes) -> Message:
    """Return a message's fields by number; embedded messages and texts are bytes."""
    fields: Message = {}
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = body[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(body):
        field, kind = divmod(number(), 8)
        value: Any
        if kind == 0:
            value = number()
        elif kind == 1:
            (value,) = struct.unpack_from("<d", body, place)
            place += 8
        else:
            assert kind == 2
            length = number()
            value = body[place : place + length]
            place += length
        fields.setdefault(field, []).append(value)
    return fields


def families(body: bytes) -> Iterator[Message]:
    # Each message stands behind its length, as an embedded one without its field's number does.
    while body:
        for size in range(1, 5):
            if body[size - 1] < 0x80:
                break
        length = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(body[:size]))
        yield read(body[size : size + length])
        body = body[size + length :]


def text(message: Message, field: int) -> str:
    (value,) = message[field]
    return str(value, "utf-8")


def labels(message: Message) -> dict[str, str]:
    return {text(pair, 1): text(pair, 2) for pair in map(read, message.get(1, []))}


@pytest.mark.parametrize("accept", SENT)
def test_who_asks_for_it_first_gets_it(accept: str) -> None:
    assert is_wanted(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        "application/openmetrics-text;version=1.0.0",
        f"text/plain, {PROTOBUF};q=0.5",
        f"{PROTOBUF};q=0",
        f"{PROTOBUF};q=much",
        PROTOBUF.replace("delimited", "text"),
        PROTOBUF.replace("MetricFamily", "Metric"),
        "application/vnd.google.protobuf",
    ],
)
def test_nobody_else_does(accept: str) -> None:
    assert not is_wanted(accept)


def test_a_histogram_is_shown_in_both_kinds_with_its_exemplar() -> None:
    metrics = Metrics("r1")
    cell = metrics.requests["GET", "/v1/kv/{key}", "200"]
    for value in (0.0000001, 0.003, 0.0031, 0.2):
        cell.observe(value)
    cell.observe_traced(0.004, "ab" * 16, "cd" * 8)

    (family,) = [f for f in families(encode(metrics.registry)) if text(f, 1) == REQUESTS]

    assert family[3] == [4]
    (metric,) = map(read, family[4])
    assert labels(metric) == {
        "http_request_method": "GET",
        "http_route": "/v1/kv/{key}",
        "http_response_status_code": "200",
    }
    (histogram,) = map(read, metric[7])
    assert histogram[1] == [5]
    assert histogram[2] == [pytest.approx(0.2101001)]
    buckets = [read(bucket) for bucket in histogram[3]]
    assert [b[2][0] for b in buckets] == [*REQUEST_BOUNDS, float("inf")]
    assert [b[1][0] for b in buckets] == [1, 1, 4, 4, 4, 4, 5, 5]
    (shown,) = [read(b[3][0]) for b in buckets if 3 in b]
    assert labels(shown) == {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    assert shown[2] == [0.004]
    # Native: schema 3, one value in the zero bucket, and 0.003, 0.0031, 0.004 and 0.2 in three
    # spans: buckets -67 and -66, -63, -18.
    assert (histogram[5], histogram[6], histogram[7]) == ([6], [2.0**-20], [1])
    spans = [read(span) for span in histogram[12]]
    assert [(zagged(s[1][0]), s[2][0]) for s in spans] == [(-67, 2), (2, 1), (44, 1)]
    (deltas,) = histogram[13]
    assert [zagged(each) for each in deltas] == [1, 0, 0, 0]


def zagged(value: int) -> int:
    return -(value + 1) // 2 if value % 2 else value // 2


@pytest.fixture(scope="module")
def stored(
    shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, str]]:
    """A Prometheus that stores native histograms, and the admin port that it scrapes."""
    with service_process(KV_STORE_URL=shared_redis.url, KV_DRAIN_SECONDS="0") as service:
        for _ in range(50):
            fetch(f"{service.base}/v1/kv/none")
        job = {
            "job_name": "kv",
            "static_configs": [{"targets": [service.admin_base.removeprefix("http://")]}],
        }
        with running_prometheus(
            tmp_path_factory.mktemp("prometheus"),
            [job],
            features="exemplar-storage,native-histograms",
        ) as prometheus:
            until(lambda: prometheus.value("up"), what="a scrape")
            prometheus.pin()
            yield prometheus, service.admin_base


def test_a_real_prometheus_stores_native_histograms(stored: tuple[Prometheus, str]) -> None:
    prometheus, _ = stored
    of_gets = f'{REQUESTS}{{http_route="/v1/kv/{{key}}"}}'

    assert prometheus.value(f"histogram_count({of_gets})") == 50
    total = prometheus.value(f"histogram_sum({of_gets})")
    median = prometheus.value(f"histogram_quantile(0.5, {of_gets})")
    assert total is not None
    assert median is not None
    assert 0 < median <= total
    # Half of the observations lie below the median, within the width of one bucket.
    below = prometheus.value(f"histogram_fraction(0, {median}, {of_gets})")
    assert below == pytest.approx(0.5, abs=0.05)


def test_a_real_prometheus_reads_all_else_as_it_is_in_the_text(
    stored: tuple[Prometheus, str],
) -> None:
    prometheus, admin = stored
    plain = fetch(f"{admin}/metrics").body.decode().splitlines()
    names = {line.split()[2] for line in plain if line.startswith("# TYPE ")}
    # Without a label value that was ever used, a metric has no series.
    with_series = {name for name in names if any(line.startswith(name) for line in plain)}

    stored_names = {name for name in names if prometheus.value(f"count({name})")}

    assert stored_names == with_series
    assert prometheus.value("kv_ready") == 1
    assert prometheus.value('kv_operations_total{operation="read",result="miss"}') == 50


def test_the_content_type_names_the_format(stored: tuple[Prometheus, str]) -> None:
    _, admin = stored

    answer = fetch(f"{admin}/metrics", Accept=SENT[0])

    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert answer.headers["Content-Type"].replace(" ", "") == PROTOBUF
    names = [text(family, 1) for family in families(answer.body)]
    assert len(names) == len(set(names))
    assert REQUESTS in names


def test_a_long_number_is_encoded() -> None:
    assert protobuf_exposition._number(300) == b"\xac\x02"
