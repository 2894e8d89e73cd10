"""A small HTTP service in place of one that can't run here: it returns each request as JSON.

Run as a program; it listens on ``PORT``. ``STUB`` has its identity as a JSON object. A ratio of
``STUB_ERROR_RATIO`` of its answers are 500. It imports nothing of this project, so that it starts
quickly.
"""

from __future__ import annotations

import json
import os
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_CHUNK: Final = 65536


class Handler(BaseHTTPRequestHandler):
    """Answers any method with what it got and who got it."""

    protocol_version = "HTTP/1.1"
    # Otherwise an answer waits for the acknowledgement of its head.
    wbufsize = -1
    disable_nagle_algorithm = True
    identity: Final = json.loads(os.environ.get("STUB", "{}"))
    failed: Final = float(os.environ.get("STUB_ERROR_RATIO", "0"))

    def answer(self) -> None:
        """Read the request's body and answer."""
        received = {
            "method": self.command,
            "path": self.path,
            "headers": self._headers(),
            "bodyBytes": self._read_body(),
            **self.identity,
        }
        body = json.dumps(received, indent=1).encode() + b"\n"
        self.send_response(500 if random.random() < self.failed else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("KV-Track", self.identity.get("track") or "")
        self.send_header("KV-Version", self.identity.get("version") or "")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def _headers(self) -> dict[str, str]:
        """Return the headers; several lines of a name become one."""
        names = dict.fromkeys(each.lower() for each in self.headers)
        return {name: ", ".join(self.headers.get_all(name, [])) for name in names}

    def _read_body(self) -> int:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self._skip(int(self.headers.get("Content-Length") or 0))
        size = 0
        while chunk := int(self.rfile.readline().partition(b";")[0], 16):
            size += self._skip(chunk)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return size

    def _skip(self, size: int) -> int:
        left = size
        while left and (part := self.rfile.read(min(left, _CHUNK))):
            left -= len(part)
        return size - left

    def log_message(self, *_: Any) -> None:
        """Log nothing: the rehearsal has Envoy's access log."""


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as Envoy opens."""

    request_queue_size = 1024


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
