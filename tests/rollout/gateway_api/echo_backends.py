"""Pods that say who they are and what they got, and remember the paths that they were asked for."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

from rollout.envoy.configuration import Address

SECONDS: Final = 60.0
#: The request header with headers that the response shall have, as JSON.
ANSWER: Final = "x-answer"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    seen: Mapping[str, Any]


class EchoBackends:
    """One server for each name, in this process."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._servers = {name: self._server(name) for name in names}
        self.paths: dict[str, list[str]] = {name: [] for name in names}

    def address(self, name: str) -> Address:
        return Address("127.0.0.1", self._servers[name].server_address[1])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=each.serve_forever, daemon=True)
            for each in self._servers.values()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for each in self._servers.values():
                each.shutdown()
                each.server_close()

    def _server(self, name: str) -> http.server.ThreadingHTTPServer:
        backends = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                backends.paths[name].append(self.path)
                for seconds in urllib.parse.parse_qs(url.query).get("delay", []):
                    time.sleep(float(seconds))
                headers: dict[str, str] = {}
                for key, value in self.headers.items():
                    known = headers.get(key.lower())
                    headers[key.lower()] = value if known is None else f"{known},{value}"
                answer = json.loads(headers.pop(ANSWER, "{}"))
                seen = {"backend": name, "path": self.path, "headers": headers}
                body = json.dumps(seen).encode()
                self.send_response(int(answer.pop(":status", 200)))
                for key, value in answer.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def __getattr__(self, name: str) -> Any:
                # http.server looks for a method ``do_GET`` and so on.
                if name.startswith("do_"):
                    return self.handle_any
                raise AttributeError(name)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # Envoy has closed the connection of a request that took too long.

        return Server(("127.0.0.1", 0), Handler)


def ask(address: Address, path: str, host: str, method: str = "GET", **headers: str) -> Reply:
    """Send a request and return the reply; follow no redirect."""
    connection = HTTPConnection(address.host, address.port, timeout=SECONDS)
    try:
        connection.request(method, path, headers={"Host": host, **headers})
        response = connection.getresponse()
        body = response.read()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            known = found.get(name.lower())
            found[name.lower()] = value if known is None else f"{known},{value}"
        echoed = body.startswith(b"{")
        return Reply(response.status, found, json.loads(body) if echoed else {})
    finally:
        connection.close()
