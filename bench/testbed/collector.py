"""``python -m bench.testbed.collector PORT [FILE]``: a collector of OTLP traces on loopback.

It writes each received span to FILE before it answers. After ``POST /hang`` it takes uploads and
does not answer them, until ``POST /answer``.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVER: Final = Span.SpanKind.SPAN_KIND_SERVER


class ReceivedSpan(NamedTuple):
    """A span that arrived. Ids are lowercase hex; ``parent_id`` is empty in a root span."""

    trace_id: str
    span_id: str
    parent_id: str
    is_server: bool
    #: The attribute ``url.path``, which only server spans have.
    path: str


def decode(body: bytes) -> list[ReceivedSpan]:
    """Return the spans of a serialised ExportTraceServiceRequest; raise DecodeError."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        ReceivedSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind == _SERVER,
            _path(span),
        )
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _path(span: Span) -> str:
    for attribute in span.attributes:
        if attribute.key == "url.path":
            return str(attribute.value.string_value)
    return ""


def render_lines(spans: Iterable[ReceivedSpan]) -> str:
    return "".join(json.dumps(span) + "\n" for span in spans)


def read_spans(file: Path) -> list[ReceivedSpan]:
    """Read the file of a collector."""
    with file.open() as lines:
        return [ReceivedSpan(*json.loads(line)) for line in lines]


class Collector(ThreadingHTTPServer):
    """The server. It keeps no span in memory."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, file: TextIO | None) -> None:
        #: Cleared while uploads get no answer.
        self.answers = threading.Event()
        self.answers.set()
        self._file = file
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def take(self, body: bytes) -> None:
        spans = decode(body)
        if self._file is not None:
            with self._lock:
                self._file.write(render_lines(spans))
                self._file.flush()

    def handle_error(self, *_: Any) -> None:
        # An exporter that gave up or was ended closes its connection.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)


class Handler(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/v1/traces":
            self._take(body)
        elif self.path == "/hang":
            self.server.answers.clear()
            self._answer(204)
        elif self.path == "/answer":
            self.server.answers.set()
            self._answer(204)
        else:
            self._answer(404)

    def _take(self, body: bytes) -> None:
        if not self.server.answers.is_set():
            self.server.answers.wait()
            self.close_connection = True  # uploads that hung never get an answer
            return
        try:
            self.server.take(body)
        except DecodeError:
            self._answer(400)
        else:
            self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            # An ExportTraceServiceResponse that refuses nothing is empty.
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Log nothing."""


def main() -> int:
    port, *names = sys.argv[1:]
    file = Path(names[0]).open("a") if names else None  # noqa: SIM115 - open as long as it runs
    Collector(int(port), file).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
