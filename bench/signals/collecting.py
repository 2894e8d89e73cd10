"""The collector of a part: what it has, and how it is told to behave."""

from __future__ import annotations

import contextlib
import http.client
import time
from typing import Final, Literal

from bench.frame.processes import BenchError
from bench.testbed.servers import Server

from .exposition import Scrape, scrape

#: How often the service's exporter sends, for parts that wait for what it sends.
OFTEN: Final = {"OTEL_BSP_SCHEDULE_DELAY": "300"}
#: Without anything new for so long, everything has come.
QUIET_SECONDS: Final = 1.0
GIVE_UP_SECONDS: Final = 60.0


def tell(collector: Server, behaviour: Literal["hang", "answer"]) -> None:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    ) as client:
        client.request("POST", f"/{behaviour}")
        client.getresponse().read()


def wait_until_exported(service: Server, quiet_seconds: float = QUIET_SECONDS) -> Scrape:
    """Wait until the service has sent nothing more for that long, and return what it then shows."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    last, since = -1.0, time.monotonic()
    while True:
        shown = scrape(service)
        now = time.monotonic()
        if exported(shown) != last:
            last, since = exported(shown), now
        elif now - since > quiet_seconds:
            return shown
        if now > give_up:
            raise BenchError(f"the service still sends spans after {GIVE_UP_SECONDS:.0f} s")
        time.sleep(0.1)


def exported(shown: Scrape) -> float:
    return shown.value("kv_spans_exported_total")


def dropped(shown: Scrape, reason: str) -> float:
    return shown.value(f'kv_spans_dropped_total{{reason="{reason}"}}')
