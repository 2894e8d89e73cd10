"""What a scrape shows."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from typing import Final

from bench.testbed.servers import Server

TEXT: Final = "text/plain;version=0.0.4"
OPEN_METRICS: Final = "application/openmetrics-text;version=1.0.0"


@dataclass(frozen=True)
class Scrape:
    """The exposition as it came, uncompressed."""

    text: str

    @property
    def kb(self) -> float:
        return len(self.text.encode()) / 1024

    @property
    def samples(self) -> dict[str, float]:
        """Map each series, as it is written, to its value."""
        lines = (line for line in self.text.splitlines() if line and not line.startswith("#"))
        return {
            series: float(value)
            for series, _, value in (line.partition(" # ")[0].rpartition(" ") for line in lines)
        }

    def value(self, series: str) -> float:
        """Return the value; 0 of a series that is not there yet."""
        return self.samples.get(series, 0.0)


def scrape(server: Server, accept: str = TEXT) -> Scrape:
    url = f"http://127.0.0.1:{server.admin_port}/metrics"
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own
        return Scrape(response.read().decode())
