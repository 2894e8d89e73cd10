"""A service in this process with all signals on, as ``python -m svc serve`` has them."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from svc.api.context import SIGNALS, STORE
from svc.app import open_apps
from svc.serving.listener import ListenerRunner, admin_runner
from svc.serving.server import BACKLOG
from svc.settings import Settings
from svc.stores.measured import MeasuredStore
from svc.stores.redis import RedisStore
from svc.telemetry.logs import JsonFormatter, add_trace
from svc.telemetry.settings import TracingSettings
from tests.support.answers import ask_admin
from tests.support.otlp import Collector
from tests.support.services import Service, patient, with_any_host
from tests.support.waiting import PATIENT_SECONDS

#: Takes settings, and serves until the block ends.
Serve = Callable[..., contextlib.AbstractAsyncContextManager[Service]]

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
#: Flags of a traceparent header.
SAMPLED: Final = "01"
UNSAMPLED: Final = "00"


@contextlib.asynccontextmanager
async def instrumented_service(
    settings: Settings, tracing: TracingSettings | None = None
) -> AsyncIterator[Service]:
    """Serve in this process until the block ends. At the end, export every span."""
    settings = with_any_host(patient(settings))
    async with contextlib.AsyncExitStack() as stack:
        traffic, admin = await stack.enter_async_context(open_apps(settings, tracing))
        runner = ListenerRunner(
            traffic, settings, shutdown_seconds=1.0, max_connections=settings.max_connections
        )
        traffic[SIGNALS].start()
        stack.push_async_callback(traffic[SIGNALS].close)
        bases = []
        for each in (runner, admin_runner(admin, settings)):
            await each.setup()
            stack.push_async_callback(each.cleanup)
            await web.TCPSite(each, "127.0.0.1", 0, backlog=BACKLOG).start()
            bases.append(f"http://127.0.0.1:{each.addresses[0][1]}")
        client = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=PATIENT_SECONDS),
            )
        )
        store = traffic[STORE]
        if isinstance(store, MeasuredStore):
            store = store._store
        assert isinstance(store, RedisStore)
        yield Service(settings, store, traffic, client, *bases)


@contextlib.asynccontextmanager
async def instrumented_service_with_tracing(
    settings: Settings,
    collector: Collector,
    environ: pytest.MonkeyPatch,
    *,
    ratio: float = 0.0,
) -> AsyncIterator[Service]:
    """Like instrumented_service, with the given collector and sampling ratio."""
    environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    async with instrumented_service(settings, TracingSettings(ratio=ratio)) as service:
        yield service


def traceparent(number: int, flags: str = SAMPLED) -> dict[str, str]:
    """Return the header of a caller's request, with ids derived from the number."""
    return {"traceparent": f"00-{trace_id(number)}-{parent_id(number)}-{flags}"}


def trace_id(number: int) -> str:
    return f"{number:032x}"


def parent_id(number: int) -> str:
    return f"{number:016x}"


def read_strictly(exposition: str) -> list[Metric]:
    """Parse an OpenMetrics exposition. Raises ValueError if it violates the specification."""
    return list(text_string_to_metric_families(exposition))  # type: ignore[no-untyped-call]


class Scrape:
    """The samples of one scrape. An absent sample counts as zero."""

    def __init__(self, exposition: str) -> None:
        self.text = exposition
        self.families = {family.name: family for family in read_strictly(exposition)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in self.samples}

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def counts(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the non-zero samples, by their label values in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name and sample.value
        }


async def scrape(service: Service) -> Scrape:
    headers = {"Accept": OPENMETRICS}
    async with service.client.get(f"{service.admin_base}/metrics", headers=headers) as response:
        assert response.status == 200
        return Scrape(await response.text())


async def text_scrape(service: Service) -> str:
    return (await ask_admin(service, "/metrics")).text


class CapturedLog(logging.Handler):
    """Captures log records as JSON lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter({}))
        self.addFilter(add_trace)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def read(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    def with_body(self, body: str) -> list[dict[str, Any]]:
        return [line for line in self.read if line["body"] == body]


@contextlib.contextmanager
def logged_lines() -> Iterator[CapturedLog]:
    """Capture everything that is logged in the block."""
    lines = CapturedLog()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    root.addHandler(lines)
    try:
        yield lines
    finally:
        root.removeHandler(lines)
        root.setLevel(before)
