"""``python -m bench.testbed.collector PORT [FILE]``: answer exporters on loopback until ended.

``POST /hang`` lets it take uploads and never answer, ``POST /answer`` lets it answer again. With a
FILE every span is written down there, before its upload is answered.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from .spans import decode, render_lines


def main() -> int:
    port, *names = sys.argv[1:]
    file = Path(names[0]).open("a") if names else None  # noqa: SIM115 - open as long as it runs
    Collector(int(port), file).serve_forever()
    return 0


class Collector(ThreadingHTTPServer):
    """Keeps nothing in memory, however long it runs."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, file: TextIO | None) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self._file = file
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Exchange)

    def take(self, body: bytes) -> None:
        spans = decode(body)
        if self._file is not None:
            with self._lock:
                self._file.write(render_lines(spans))
                self._file.flush()

    def handle_error(self, *_: Any) -> None:
        # An exporter that gave up, or was ended, is nothing to tell.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)


class Exchange(BaseHTTPRequestHandler):
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
            self.close_connection = True  # what hung stays without an answer
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
            # An ExportTraceServiceResponse without a word of refusal is empty.
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


if __name__ == "__main__":
    sys.exit(main())
