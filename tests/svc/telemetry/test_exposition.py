"""``/metrics`` in the format that the scraper accepts, with exemplars where it allows them."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Any, Final

import aiohttp
import pytest

from svc.telemetry.exposition import MIN_GZIP_BYTES
from tests.support.answers import ask, increment, put
from tests.support.instrumented_service import (
    OPENMETRICS,
    SAMPLED,
    UNSAMPLED,
    Serve,
    read_strictly,
    scrape,
    text_scrape,
    trace_id,
    traceparent,
)
from tests.support.otlp import Collector
from tests.support.raw_http import exchange
from tests.support.services import Service

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
#: The Accept headers of Prometheus, by version.
PROMETHEUS_2: Final = (
    "application/openmetrics-text;version=1.0.0;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3: Final = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
LINE: Final = re.compile(
    r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (\d+(\.\d+)?(e[+-]\d+)?|\+Inf)'
)


async def fetched(service: Service, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return the response to a scrape, and its body as sent."""
    sent = {"Accept-Encoding": "identity"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.get(f"{service.admin_base}/metrics", headers=sent) as answer,
    ):
        return answer, await answer.read()


OF_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FORMATS: Final = {
    "*/*": TEXT,
    "": TEXT,
    "application/json": TEXT,
    "text/plain": TEXT,
    "text/plain; version=0.0.4": TEXT,
    "text/plain; version=1.0.0": "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
    "application/openmetrics-text; version=0.0.1": TEXT,
    "application/openmetrics-text": OF_OPENMETRICS,
    OPENMETRICS: f"{OF_OPENMETRICS}; escaping=underscores",
    PROMETHEUS_2: f"{OF_OPENMETRICS}; escaping=underscores",
    PROMETHEUS_3: f"{OF_OPENMETRICS}; escaping=allow-utf-8",
}


@pytest.mark.parametrize("accept", FORMATS)
async def test_the_format_is_the_one_asked_for(observed: Serve, accept: str) -> None:
    async with observed() as service:
        answer, body = await fetched(service, Accept=accept)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == FORMATS[accept]
    assert body.endswith(b"# EOF\n") is FORMATS[accept].startswith(OF_OPENMETRICS)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"


async def send_every_kind(service: Service) -> None:
    """Send requests of every kind, some of them sampled."""
    for number, flags in enumerate([SAMPLED, UNSAMPLED] * 10, 1):
        headers = traceparent(number, flags)
        await ask(service, "GET", f"/v1/kv/k{number}", headers=headers)
        await ask(service, "POST", "/v1/counters/c/increments", headers=headers)
    await put(service, "k", b"v")
    await increment(service, "c")
    await exchange(service.port, "nonsense\r\n\r\n")


async def test_openmetrics_passes_a_strict_reader_and_is_complete(
    traced: Serve, collector: Collector
) -> None:
    async with traced() as service:
        await send_every_kind(service)
        shown = await scrape(service)
        text = await text_scrape(service)

    # Parsing was the strict check. Both formats must have the same samples.
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert names == {
        family.name + ("_total" if family.type == "counter" else "")
        for family in shown.families.values()
    }
    assert all(family.documentation for family in shown.families.values())
    assert not any(sample.name.endswith("_created") for sample in shown.samples)


async def test_every_line_of_the_text_format_is_well_formed(traced: Serve) -> None:
    async with traced() as service:
        await send_every_kind(service)
        text = await text_scrape(service)

    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines) > 100


async def test_exemplars_name_sampled_requests_alone_and_each_has_its_spans(
    traced: Serve, collector: Collector
) -> None:
    async with traced() as service:
        await send_every_kind(service)
        shown = await scrape(service)

    exemplars = [(sample, sample.exemplar) for sample in shown.samples if sample.exemplar]
    assert exemplars
    asked_for = {trace_id(number) for number in range(1, 21, 2)}
    assert {exemplar.labels["trace_id"] for _, exemplar in exemplars} <= asked_for
    spans = {(span.trace_id, span.span_id): span for span in collector.spans}
    for sample, exemplar in exemplars:
        assert sample.name == "http_server_request_duration_seconds_bucket"
        span = spans[exemplar.labels["trace_id"], exemplar.labels["span_id"]]
        assert span.attributes["http.route"] == sample.labels["http_route"]
        assert span.attributes["http.request.method"] == sample.labels["http_request_method"]
        assert span.seconds - 0.01 <= exemplar.value <= float(sample.labels["le"])
        assert span.end_ns / 1e9 == pytest.approx(float(str(exemplar.timestamp)), abs=60)


@pytest.mark.parametrize("accept", ["text/plain; version=0.0.4", "text/plain; version=1.0.0"])
async def test_no_text_format_has_an_exemplar(traced: Serve, accept: str) -> None:
    async with traced() as service:
        await send_every_kind(service)
        _, body = await fetched(service, Accept=accept)

    assert b"trace_id" not in body
    assert b" # " not in body


async def test_without_tracing_there_are_no_exemplars(observed: Serve) -> None:
    async with observed() as service:
        await send_every_kind(service)
        shown = await scrape(service)

    assert [sample for sample in shown.samples if sample.exemplar] == []


@pytest.mark.parametrize(
    ("coding", "compressed"),
    [("gzip", True), ("deflate, gzip;q=0.5, br", True), ("identity", False), ("br", False)],
)
async def test_it_is_compressed_for_clients_that_accept_it(
    observed: Serve, coding: str, compressed: bool
) -> None:
    async with observed() as service:
        await send_every_kind(service)
        answer, body = await fetched(service, Accept=OPENMETRICS, Accept_Encoding=coding)

    assert answer.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert int(answer.headers["Content-Length"]) == len(body)
    plain = gzip.decompress(body) if compressed else body
    assert len(plain) > MIN_GZIP_BYTES
    assert (len(body) < len(plain) / 3) is compressed
    assert read_strictly(plain.decode())


async def test_a_head_request_gets_the_same_headers_and_no_body(observed: Serve) -> None:
    async with observed() as service:
        port = int(service.admin_base.rpartition(":")[2])
        head = "HEAD /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        answer = await exchange(port, head, head_only=True)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == TEXT


async def test_scrapes_at_once_under_traffic_are_each_whole(observed: Serve) -> None:
    async with observed() as service:

        async def one() -> Any:
            await ask(service, "GET", "/v1/kv/k")
            return await scrape(service)

        scrapes = await asyncio.gather(*(one() for _ in range(30)))
        last = await scrape(service)

    name = "http_server_request_duration_seconds"
    assert last.value(f"{name}_count") == 30
    for shown in scrapes:
        count, buckets = shown.value(f"{name}_count"), shown.value(f"{name}_bucket", le="+Inf")
        assert 1 <= count == buckets <= 30
