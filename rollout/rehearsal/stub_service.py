"""A small HTTP service in place of one that can't run here: it returns each request as JSON.

Run as a program; it listens on ``PORT``, for HTTP/1.1 and for HTTP/2 without TLS. ``STUB`` has its
identity as a JSON object. A ratio of ``STUB_ERROR_RATIO`` of its answers are 500. A call of gRPC is
answered with one message without fields, or with the status UNAVAILABLE. It imports nothing of this
project, so that it starts quickly.
"""

from __future__ import annotations

import json
import os
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_CHUNK: Final = 65536
#: How a connection of HTTP/2 begins. No method of HTTP/1.1 begins with it.
_PREFACE: Final = b"PRI"
#: gRPC's status UNAVAILABLE.
_UNAVAILABLE: Final = "14"


class Handler(BaseHTTPRequestHandler):
    """Answers any method with what it got and who got it."""

    protocol_version = "HTTP/1.1"
    # Otherwise an answer waits for the acknowledgement of its head.
    wbufsize = -1
    disable_nagle_algorithm = True
    identity: Final = json.loads(os.environ.get("STUB", "{}"))
    failed: Final = float(os.environ.get("STUB_ERROR_RATIO", "0"))

    def handle(self) -> None:
        """Answer all requests of a connection."""
        if self.rfile.peek(len(_PREFACE)).startswith(_PREFACE):  # type: ignore[attr-defined]
            Http2(self).handle()
        else:
            super().handle()

    @property
    def fails(self) -> bool:
        return random.random() < self.failed

    def answer(self) -> None:
        """Read the request's body and answer."""
        body = self.describe(self.command, self.path, self._headers(), self._read_body())
        self.send_response(500 if self.fails else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.own_headers():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def describe(self, method: str, path: str, headers: Any, size: int) -> bytes:
        """Return what was received, and who received it."""
        received = {"method": method, "path": path, "headers": headers, "bodyBytes": size}
        return json.dumps({**received, **self.identity}, indent=1).encode() + b"\n"

    def own_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of every answer."""
        identity = self.identity
        return (
            ("kv-track", identity.get("track") or ""),
            ("kv-version", identity.get("version") or ""),
        )

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


class Http2:
    """The requests of one connection of HTTP/2."""

    def __init__(self, handler: Handler) -> None:
        # Most stubs never get such a connection.
        from h2 import config, connection  # noqa: PLC0415

        self._handler = handler
        settings = config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._connection = connection.H2Connection(settings)
        self._headers: dict[int, dict[str, str]] = {}
        self._sizes: dict[int, int] = {}

    def handle(self) -> None:
        """Answer requests until the connection ends."""
        self._connection.initiate_connection()
        self._send()
        while data := self._handler.rfile.read1(_CHUNK):
            for event in self._connection.receive_data(data):
                self._receive(event)
            self._send()

    def _send(self) -> None:
        self._handler.connection.sendall(self._connection.data_to_send())

    def _receive(self, event: Any) -> None:
        from h2 import events  # noqa: PLC0415

        match event:
            case events.RequestReceived():
                self._headers[event.stream_id] = {
                    str(key): str(each) for key, each in event.headers
                }
                self._sizes[event.stream_id] = 0
            case events.DataReceived():
                self._sizes[event.stream_id] += len(event.data)
                size = event.flow_controlled_length
                self._connection.acknowledge_received_data(size, event.stream_id)
            case events.StreamReset():
                self._headers.pop(event.stream_id, None)
                self._sizes.pop(event.stream_id, None)
            case events.StreamEnded():
                headers = self._headers.pop(event.stream_id)
                size = self._sizes.pop(event.stream_id)
                if headers.get("content-type", "").startswith("application/grpc"):
                    self._answer_call(event.stream_id)
                else:
                    self._answer(event.stream_id, headers, size)

    def _answer_call(self, stream: int) -> None:
        """Answer a call of gRPC; a failure has no message, so its status is among the headers."""
        head = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            *self._handler.own_headers(),
        ]
        if self._handler.fails:
            failed = [*head, ("grpc-status", _UNAVAILABLE)]
            self._connection.send_headers(stream, failed, end_stream=True)
            return
        self._connection.send_headers(stream, head)
        self._connection.send_data(stream, bytes(5))
        self._connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    def _answer(self, stream: int, headers: dict[str, str], size: int) -> None:
        named = {name: each for name, each in headers.items() if not name.startswith(":")}
        named["host"] = headers.get(":authority", "")
        method = headers[":method"]
        body = self._handler.describe(method, headers[":path"], named, size)
        head = [
            (":status", "500" if self._handler.fails else "200"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            *self._handler.own_headers(),
        ]
        self._connection.send_headers(stream, head, end_stream=method == "HEAD")
        step = self._connection.max_outbound_frame_size
        for start in range(0, len(body), step) if method != "HEAD" else ():
            last = start + step >= len(body)
            self._connection.send_data(stream, body[start : start + step], end_stream=last)


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as Envoy opens."""

    request_queue_size = 1024


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
