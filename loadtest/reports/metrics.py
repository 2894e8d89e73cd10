"""``/metrics`` of a load test, in Prometheus' text format 0.0.4.

Locust's image has no library for it. Locust turns the threads of the server into greenlets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from ..latencies import cumulated
from .releases import Release, ReleaseCounts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: In seconds. The service has the same buckets, so that both can be compared.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
#: An idle connection is closed after this time.
IDLE_SECONDS: Final = 10.0
_OUTCOMES: Final = ("ok", "failed", "wrong")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(counts: ReleaseCounts, users: int) -> str:
    """Return the exposition: requests and latencies by version and track, and the users."""
    return "\n".join((*_users(users), *_requests(counts), *_latencies(counts))) + "\n"


def _users(users: int) -> Iterator[str]:
    yield "# HELP load_users Simulated users."
    yield "# TYPE load_users gauge"
    yield f"load_users {users}"


def _requests(counts: ReleaseCounts) -> Iterator[str]:
    yield "# HELP load_requests_total Requests by the release that answered, and by outcome."
    yield "# TYPE load_requests_total counter"
    for release, each in counts.releases.items():
        outcomes = (each.requests - each.failures, each.failures - each.wrong, each.wrong)
        for outcome, count in zip(_OUTCOMES, outcomes, strict=True):
            yield f'load_requests_total{{{_labels(release)},outcome="{outcome}"}} {count}'


def _latencies(counts: ReleaseCounts) -> Iterator[str]:
    name = "load_request_duration_seconds"
    yield f"# HELP {name} Time from request to answer, as clients measure it."
    yield f"# TYPE {name} histogram"
    for release, each in counts.releases.items():
        labels = _labels(release)
        *buckets, total = cumulated(each.latencies, BOUNDS)
        for bound, count in zip(BOUNDS, buckets, strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f'{name}_bucket{{{labels},le="+Inf"}} {total}'
        yield f"{name}_sum{{{labels}}} {each.total_seconds}"
        yield f"{name}_count{{{labels}}} {total}"


def _labels(release: Release) -> str:
    # A scrape may add labels "version" and "track" from the pod.
    names = ("kv_version", "kv_track")
    return ",".join(
        f'{name}="{part.translate(_ESCAPES)}"' for name, part in zip(names, release, strict=True)
    )


def serve_metrics(port: int, render_now: Callable[[], str]) -> None:
    """Serve ``/metrics`` until the process ends; raise OSError if the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS

        def do_GET(self) -> None:
            known = self.path.partition("?")[0] == "/metrics"
            body = render_now().encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
