"""Spans travel by the protocol that OTEL_EXPORTER_OTLP_PROTOCOL names, or by HTTP."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Final

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.semconv.schemas import Schemas

from svc.telemetry.settings import load_tracing
from svc.telemetry.span_export import SCHEMA_URL
from svc.telemetry.tracing import FLUSH_SECONDS
from tests.support.instrumented_service import trace_id, traceparent
from tests.support.otlp import Collector
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT
from tests.support.spans import Span, spans_of
from tests.svc.telemetry.process_log import logged_process

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
WARNING: Final = "spans are sent over http/protobuf instead of the protocol that is asked for"


class GrpcCollector(TraceServiceServicer):
    """Keeps the spans that it gets over gRPC; ``hangs`` until it is told to go on."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.port = 0

    def Export(  # noqa: N802 - its name there
        self, request: ExportTraceServiceRequest, _: Any
    ) -> ExportTraceServiceResponse:
        self.goes_on.wait()
        self.spans += spans_of(request)
        return ExportTraceServiceResponse()


@contextmanager
def grpc_collector() -> Iterator[GrpcCollector]:
    collector = GrpcCollector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        collector.goes_on.set()
        server.stop(None).wait()


@pytest.mark.parametrize("variable", [PROTOCOL, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_grpc_collector_gets_the_spans(shared_redis: RedisServer, variable: str) -> None:
    with (
        grpc_collector() as collector,
        logged_process(
            **{
                "KV_STORE_URL": shared_redis.url,
                ENDPOINT: f"http://127.0.0.1:{collector.port}",
                variable: "grpc",
            }
        ) as service,
    ):
        for number in range(1, 21):
            fetch(f"{service.base}/v1/kv/none", traceparent=traceparent(number)["traceparent"])
        assert service.end() == 0

    served = [span for span in collector.spans if span.kind == "SERVER"]
    assert {span.trace_id for span in served} == {trace_id(number) for number in range(1, 21)}
    assert {span.resource["service.name"] for span in collector.spans} == {"tallykv"}
    assert service.with_body(WARNING) == []


def test_a_grpc_collector_that_hangs_holds_the_end_up_for_a_bounded_time(
    shared_redis: RedisServer,
) -> None:
    with grpc_collector() as collector:
        collector.goes_on.clear()
        with logged_process(
            **{
                "KV_STORE_URL": shared_redis.url,
                ENDPOINT: f"http://127.0.0.1:{collector.port}",
                PROTOCOL: "grpc",
            }
        ) as service:
            fetch(f"{service.base}/v1/kv/none", traceparent=traceparent(1)["traceparent"])
            # Less than the 30 s of the SDK's own end.
            assert service.end(FLUSH_SECONDS + 24) == 0

    (line,) = service.with_body("the collector did not take the last spans")
    assert line["spans"] == 2


@pytest.mark.parametrize("protocol", ["http/json", "carrier pigeon"])
def test_another_protocol_is_warned_of_once_and_the_spans_go_over_http(
    shared_redis: RedisServer, collector: Collector, protocol: str
) -> None:
    with logged_process(
        **{
            "KV_STORE_URL": shared_redis.url,
            ENDPOINT: collector.endpoint,
            PROTOCOL: protocol,
        }
    ) as service:
        fetch(f"{service.base}/v1/kv/none", traceparent=traceparent(1)["traceparent"])
        assert service.end() == 0

    assert collector.trace_ids == {trace_id(1)}
    (line,) = service.with_body(WARNING)
    assert line["protocol"] == protocol
    assert line["severity_text"] == "WARNING"


def test_without_the_extra_grpc_is_warned_of_and_http_is_used() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry.exporter.otlp.proto.grpc'] = None\n"
        "from svc.telemetry.span_export import build_exporter\n"
        "print(type(build_exporter('grpc')).__module__)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert said.stdout.strip() == "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    assert said.stderr.count(WARNING) == 1


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({}, "http/protobuf"),
        ({PROTOCOL: ""}, "http/protobuf"),
        ({PROTOCOL: "grpc"}, "grpc"),
        ({PROTOCOL: "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/json"),
    ],
)
def test_the_variable_for_traces_comes_first(environ: dict[str, str], protocol: str) -> None:
    tracing = load_tracing({ENDPOINT: "http://127.0.0.1:4317", **environ})

    assert tracing is not None
    assert tracing.protocol == protocol


def test_an_address_without_a_scheme_is_one_for_grpc() -> None:
    assert load_tracing({ENDPOINT: "127.0.0.1:4317", PROTOCOL: "grpc"}) is not None


def test_every_span_names_the_version_of_its_conventions(
    shared_redis: RedisServer, collector: Collector
) -> None:
    with logged_process(
        **{"KV_STORE_URL": shared_redis.url, ENDPOINT: collector.endpoint}
    ) as service:
        fetch(f"{service.base}/v1/kv/none", traceparent=traceparent(1)["traceparent"])
        assert service.end() == 0

    assert {span.schemas for span in collector.spans} == {(SCHEMA_URL, SCHEMA_URL)}
    assert SCHEMA_URL in {schema.value for schema in Schemas}
