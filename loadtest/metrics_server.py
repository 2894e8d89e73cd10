"""``/metrics`` for as long as the load test runs; locust turns its threads into greenlets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from .exposition import CONTENT_TYPE

#: A scraper that says nothing is let go.
SILENT_SECONDS: Final = 10.0


def serve_metrics(port: int, render: Callable[[], str]) -> None:
    """Serve what ``render`` returns until the process ends; raise OSError if the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_SECONDS

        def do_GET(self) -> None:
            known = self.path.partition("?")[0] == "/metrics"
            body = render().encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape is no news."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
