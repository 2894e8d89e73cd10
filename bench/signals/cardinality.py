"""How many series there are, whoever asks for whatever, and how large a scrape gets."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import string
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from bench.frame.processes import BenchError, Cores
from bench.frame.report import Row, say
from bench.testbed.operations import request
from bench.testbed.servers import Server

from ..testbed.http_client import ask_all
from . import limits
from .every_route import Asked, ask_everything, status
from .exposition import OPEN_METRICS, Scrape, scrape
from .options import Options
from .rows import row
from .scraping import measure_scrapes
from .services import running_observed

PATHS: Final = 10_000
KEYS: Final = 1_000
#: Requests that wait for a stalled Redis together.
AT_ONCE: Final = 16
#: The parser knows these from other protocols; what it doesn't know it refuses. HTTP's own methods
#: are labels, and not made up.
KNOWN_METHODS: Final = (
    *("ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY"),
    *("MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "PROPFIND", "PROPPATCH", "PURGE"),
    *("REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK"),
)
METHODS: Final = (*KNOWN_METHODS, *(f"METHOD{i}" for i in range(50 - len(KNOWN_METHODS))))


def measure_cardinality(options: Options, server: Cores, aside: Cores) -> list[Row]:
    # The service's own default: a Redis that stalls is met on every route.
    with running_observed(server, aside, KV_STORE_TIMEOUT_MS="500") as observed:
        service = observed.service
        count = ask_everything(service)
        before = scrape(service).samples
        say(f"cardinality: {len(before):,} series after {count} requests to every route")
        _flood(service)
        calm = scrape(service)
        added = calm.samples.keys() - before.keys()
        say("cardinality: every route again, Redis not answering, and Redis gone")
        with _stopped(observed.redis):
            ask_everything(service, AT_ONCE)
        observed.redis.process.stop()
        ask_everything(service, AT_ONCE)
        return [
            row(
                f"cardinality: series added by {PATHS:,} paths, {len(METHODS)} methods,"
                f" {KEYS:,} keys",
                len(added),
                limits.ADDED_SERIES,
                beside=f"to {len(before):,}",
            ),
            *_size_rows(calm, scrape(service), scrape(service, OPEN_METRICS)),
            measure_scrapes(service, options.scrapes),
        ]


def _flood(service: Server) -> None:
    say(f"cardinality: {PATHS:,} made-up paths")
    ask_all(service.port, (request("GET", path) for path in _paths()))
    say(f"cardinality: {len(METHODS)} made-up methods, {KEYS:,} keys")
    for method in METHODS:
        status(service, Asked(method, "/v1/kv/made-up"))
    keys = [f"/v1/kv/{quote(f'made up/{i}')}" for i in range(KEYS)]
    calls: tuple[Callable[[str], bytes], ...] = (
        lambda path: request("PUT", path, b"x"),
        lambda path: request("GET", path),
        lambda path: request("DELETE", path),
    )
    for call, good in zip(calls, (201, 200, 204), strict=True):
        answered = ask_all(service.port, map(call, keys))
        if answered != {good: KEYS}:
            raise BenchError(f"{KEYS} made-up keys were answered {answered}")


def _paths() -> Iterator[str]:
    """Give paths that no route has, and others that the plain face takes."""
    draw = random.Random(5)
    for number in range(PATHS):
        name = "".join(draw.choices(string.ascii_letters + string.digits + "-._~/%é ", k=24))
        yield f"/{('v1/', 'ui/', 'docs/', '')[number % 4]}{quote(name)}"


@contextlib.contextmanager
def _stopped(server: Server) -> Iterator[None]:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def _size_rows(calm: Scrape, text: Scrape, open_metrics: Scrape) -> list[Row]:
    """Hold the largest to the limits; beside it stands what there was before Redis failed."""
    cells = sum(
        series.startswith("http_server_request_duration_seconds_count") for series in text.samples
    )
    return [
        row(
            f"cardinality: series in all, {cells} of method, route and status",
            len(text.samples),
            limits.TOTAL_SERIES,
            beside=f"{len(calm.samples):,} before the outage",
        ),
        row(
            "cardinality: KB of /metrics, OpenMetrics or text",
            max(text.kb, open_metrics.kb),
            limits.METRICS_KB,
            beside=f"{calm.kb:.0f} before the outage",
        ),
    ]
