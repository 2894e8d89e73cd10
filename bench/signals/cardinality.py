"""How many series exist, whatever clients request, and how large a scrape becomes."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.http_client import exchange, exchange_all
from bench.testbed.operations import render_request
from bench.testbed.scrape import OPEN_METRICS, scrape
from bench.testbed.servers import Service, running_stack

from . import limits
from .every_route import send_to_every_route
from .run_sizes import Sizes
from .scrape_cost import measure_scrapes

PATHS: Final = 10_000
KEYS: Final = 1_000
#: Requests that wait for a stopped Redis at the same time.
AT_ONCE: Final = 16
#: Methods of other protocols that the parser knows. It refuses all others. HTTP's own methods are
#: values of the label.
KNOWN_METHODS: Final = (
    *("ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY"),
    *("MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "PROPFIND", "PROPPATCH", "PURGE"),
    *("REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK"),
)
METHODS: Final = (*KNOWN_METHODS, *(f"METHOD{i}" for i in range(50 - len(KNOWN_METHODS))))


def measure_cardinality(run: Run[Sizes]) -> Iterator[Row]:
    # With the default deadline, every route meets a stopped Redis.
    with running_stack(run.server_cores, run.load_cores, KV_STORE_TIMEOUT_MS="500") as stack:
        service = stack.tallykv
        count = send_to_every_route(service)
        before = scrape(service).samples
        say(f"{len(before):,} series after {count} requests to every route")
        _send_invented(service)
        calm = scrape(service)
        added = calm.samples.keys() - before.keys()
        title = f"series added by {PATHS:,} paths, {len(METHODS)} methods, {KEYS:,} keys"
        note = f"to {len(before):,}"
        yield Row(title, len(added), "series", limits.ADDED_SERIES, note)
        say("every route again, while Redis does not answer, and without Redis")
        with stack.redis.stopped():
            send_to_every_route(service, AT_ONCE)
        stack.redis.stop()
        send_to_every_route(service, AT_ONCE)
        text, open_metrics = scrape(service), scrape(service, OPEN_METRICS)
        requests = "http_server_request_duration_seconds_count"
        cells = sum(series.startswith(requests) for series in text.samples)
        note = f"{cells} of method, route and status; {len(calm.samples):,} before the outage"
        yield Row("series in all", len(text.samples), "series", limits.TOTAL_SERIES, note)
        largest = max(text.kb, open_metrics.kb)
        note = f"{calm.kb:.0f} KB before the outage"
        yield Row("/metrics, OpenMetrics or text", largest, "KB", limits.METRICS_KB, note)
        yield measure_scrapes(service, run.sizes.scrapes)


def _send_invented(service: Service) -> None:
    """Send paths, methods and keys that clients invent."""
    exchange_all(service.port, (render_request("GET", path) for path in _paths()))
    for method in METHODS:
        exchange(service.port, render_request(method, "/v1/kv/made-up"))
    keys = [f"/v1/kv/{quote(f'made up/{i}')}" for i in range(KEYS)]
    for method, body, expected in (("PUT", b"x", 201), ("GET", b"", 200), ("DELETE", b"", 204)):
        answered = exchange_all(service.port, (render_request(method, key, body) for key in keys))
        if answered != {expected: KEYS}:
            raise BenchError(f"{method} of {KEYS} invented keys was answered {answered}")


def _paths() -> Iterator[str]:
    """Yield paths without a route, and paths that the plain API accepts."""
    rng = random.Random(5)
    for number in range(PATHS):
        name = "".join(rng.choices(string.ascii_letters + string.digits + "-._~/%é ", k=24))
        yield f"/{('v1/', 'ui/', 'docs/', '')[number % 4]}{quote(name)}"
