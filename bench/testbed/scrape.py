"""Scrapes of a service, and its counters of exported spans."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from typing import Final, Literal

from bench.frame.errors import BenchError

from .http_client import exchange
from .operations import render_request
from .servers import Collector, Service

TEXT: Final = "text/plain;version=0.0.4"
OPEN_METRICS: Final = "application/openmetrics-text;version=1.0.0"
#: A short interval between exports, for parts that wait for spans.
EXPORT_OFTEN: Final = {"OTEL_BSP_SCHEDULE_DELAY": "300"}
#: Without a new span for this long, all have arrived.
QUIET_SECONDS: Final = 1.0
TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Scrape:
    """An exposition, uncompressed."""

    text: str

    @property
    def kb(self) -> float:
        return len(self.text.encode()) / 1024

    @property
    def samples(self) -> dict[str, float]:
        """Return the value of each series, by the text of the series."""
        lines = (line for line in self.text.splitlines() if line and not line.startswith("#"))
        return {
            series: float(value)
            for series, _, value in (line.partition(" # ")[0].rpartition(" ") for line in lines)
        }

    def value(self, series: str) -> float:
        """Return the value, 0 for a series that does not exist yet."""
        return self.samples.get(series, 0.0)

    @property
    def exported_spans(self) -> float:
        return self.value("kv_spans_exported_total")

    def dropped_spans(self, reason: str) -> float:
        return self.value(f'kv_spans_dropped_total{{reason="{reason}"}}')


def scrape(service: Service, accept: str = TEXT) -> Scrape:
    url = f"http://127.0.0.1:{service.admin_port}/metrics"
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own
        return Scrape(response.read().decode())


def set_collector(collector: Collector, behaviour: Literal["hang", "answer"]) -> None:
    exchange(collector.port, render_request("POST", f"/{behaviour}"))


def wait_until_exported(service: Service, quiet_seconds: float = QUIET_SECONDS) -> Scrape:
    """Wait until the service exports no more spans; return the last scrape. Raise BenchError."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    last, since = -1.0, time.monotonic()
    while True:
        shown = scrape(service)
        now = time.monotonic()
        if shown.exported_spans != last:
            last, since = shown.exported_spans, now
        elif now - since > quiet_seconds:
            return shown
        if now > deadline:
            raise BenchError(f"the service still exports spans after {TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.1)
