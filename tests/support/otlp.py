"""An OTLP/HTTP collector for the tests: keeps the spans, and fails in a chosen way."""

from __future__ import annotations

import contextlib
import gzip
import socket
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.spans import Span, decode

PATH: Final = "/v1/traces"


class Behaviour(Enum):
    ANSWER = "takes spans"
    REFUSE = "answers 503"
    HANG = "takes requests and never answers"


@dataclass(frozen=True)
class Upload:
    """A received request. Header names are in lower case; ``status`` is None without a response."""

    path: str
    headers: dict[str, str]
    body_bytes: int
    spans: int
    status: int | None


class Collector:
    """Listens on a loopback port, which stays the same when it is opened again."""

    def __init__(self) -> None:
        self.port = 0
        self._behaviour = Behaviour.ANSWER
        self._let_go = threading.Event()
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._uploads: list[Upload] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The value for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    @property
    def uploads(self) -> list[Upload]:
        with self._lock:
            return list(self._uploads)

    @property
    def trace_ids(self) -> set[str]:
        return {span.trace_id for span in self.spans}

    def clear(self) -> None:
        with self._lock:
            self._spans.clear()
            self._uploads.clear()

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on. Requests that hang until now are aborted."""
        with self._lock:
            self._behaviour = behaviour
            hung, self._let_go = self._let_go, threading.Event()
        hung.set()

    def manners(self) -> tuple[Behaviour, threading.Event]:
        """Return the behaviour for a new request, and the event that ends a hanging one."""
        with self._lock:
            return self._behaviour, self._let_go

    def keep(self, upload: Upload, spans: list[Span]) -> None:
        with self._lock:
            self._uploads.append(upload)
            self._spans += spans

    def open(self) -> None:
        assert self._server is None, "it is open"
        self._let_go = threading.Event()
        self._server = _Server(self)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="collector", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut every connection. Received spans are kept."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._let_go.set()
        self._server.cut()
        self._server.server_close()
        failures, self._server = self._server.failures, None
        assert not failures, f"the collector failed: {failures}"


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for them
    request_queue_size = 64

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.connections: set[socket.socket] = set()
        self.failures: list[BaseException] = []
        super().__init__(("127.0.0.1", collector.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        # The client disconnected, or was cut off by close().
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.failures.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        behaviour, let_go = self.server.collector.manners()
        if behaviour is Behaviour.HANG:
            self._keep(len(body), None, [])
            let_go.wait()
            self.close_connection = True
            return
        status, spans = self._read(body) if behaviour is Behaviour.ANSWER else (503, [])
        self._keep(len(body), status, spans)
        self._answer(status)

    def _read(self, body: bytes) -> tuple[int, list[Span]]:
        if self.path != PATH:
            return 404, []
        if self.headers["Content-Type"] != "application/x-protobuf":
            return 415, []
        try:
            inflated = gzip.decompress(body) if self._coding == "gzip" else body
            return 200, decode(inflated)
        except (DecodeError, OSError, EOFError, zlib.error):
            return 400, []

    @property
    def _coding(self) -> str:
        return str(self.headers.get("Content-Encoding", "identity"))

    def _answer(self, status: int) -> None:
        body = ExportTraceServiceResponse().SerializeToString() if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _keep(self, body_bytes: int, status: int | None, spans: list[Span]) -> None:
        upload = Upload(
            self.path,
            {k.lower(): v for k, v in self.headers.items()},
            body_bytes,
            len(spans),
            status,
        )
        self.server.collector.keep(upload, spans)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Log nothing."""


@contextlib.contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()
    collector.open()
    try:
        yield collector
    finally:
        collector.close()
