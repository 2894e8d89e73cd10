"""Scrape targets that expose the counters, and the status, that a test sets."""

from __future__ import annotations

import contextlib
import itertools
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rollout.prometheus.query import ISTIO, MetricNames

APP_BOUNDS = (0.1, 0.25, 0.5, 1.0)
ISTIO_BOUNDS = (100, 250, 500, 1000)


@dataclass
class Exporter:
    """One target of the pool: its exposition, its labels, and its HTTP status."""

    path: str
    labels: dict[str, str] = field(default_factory=dict)
    text: str = ""
    status: int = 200
    scrapes: int = 0

    @property
    def instance(self) -> str:
        return self.path.strip("/")

    def exposition(self) -> str:
        """Return the text with the labels added to each series (the job has honor_labels)."""
        common = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return "".join(f"{_labelled(line, common)}\n" for line in self.text.splitlines())


def _labelled(line: str, common: str) -> str:
    name, brace, rest = line.partition("{")
    if brace:
        return f"{name}{{{common},{rest}"
    name, _, rest = line.partition(" ")
    return f"{name}{{{common}}} {rest}"


class TargetPool:
    """Targets that Prometheus knows from the start, because it takes seconds to add one."""

    def __init__(self, size: int) -> None:
        self.exporters = [Exporter(f"/target-{n}") for n in range(size)]
        self._by_path = {each.path: each for each in self.exporters}
        self._next = itertools.cycle(self.exporters)
        pool = self

        class Handler(BaseHTTPRequestHandler):
            # Prometheus keeps its connections: no thread is started for each scrape.
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                pool.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="targets")

    @contextlib.contextmanager
    def serving(self) -> Iterator[dict[str, Any]]:
        """Serve until the block ends; yields the scrape job."""
        self._thread.start()
        try:
            address = f"127.0.0.1:{self._server.server_port}"
            yield {
                "job_name": "kv",
                "honor_labels": True,
                "static_configs": [
                    {
                        "targets": [address],
                        "labels": {"__metrics_path__": each.path, "instance": each.instance},
                    }
                    for each in self.exporters
                ],
            }
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def take(self, labels: dict[str, str]) -> Exporter:
        taken = next(self._next)
        # The old series before the new labels: a scrape may come between the two.
        taken.text, taken.status = "", 200
        taken.labels = labels
        return taken

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        exporter = self._by_path[request.path]
        body = exporter.exposition().encode()
        exporter.scrapes += 1
        with contextlib.suppress(ConnectionError):  # a Prometheus that stops closes the connection
            request.send_response(exporter.status)
            request.send_header("Content-Type", "text/plain; version=0.0.4")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)


def histogram(
    metrics: MetricNames, status: int | str, buckets: Sequence[int], count: int, labels: str = ""
) -> str:
    """Return one series of a histogram as text; ``buckets`` are cumulative."""
    bounds = ISTIO_BOUNDS if metrics is ISTIO else APP_BOUNDS
    common = f'{metrics.failed[0][0]}="{status}"{"," + labels if labels else ""}'
    lines = [
        f'{metrics.histogram}_bucket{{{common},le="{bound}"}} {within}'
        for bound, within in zip(bounds, buckets, strict=True)
    ]
    lines.append(f'{metrics.histogram}_bucket{{{common},le="+Inf"}} {count}')
    lines.append(f"{metrics.histogram}_count{{{common}}} {count}")
    return "\n".join(lines) + "\n"


def istio_labels(version: str, service: str = "kv", namespace: str = "shop") -> str:
    return (
        f'reporter="source",destination_service_name="{service}",'
        f'destination_service_namespace="{namespace}",destination_version="{version}"'
    )


def fresh_namespace() -> str:
    """Return an unused namespace: Prometheus keeps the samples of earlier tests."""
    return f"shop-{uuid.uuid4().hex[:8]}"
