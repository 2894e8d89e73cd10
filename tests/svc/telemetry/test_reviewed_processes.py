"""Edge cases of a process's start and log that were found by a code review."""

from __future__ import annotations

import http.client
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Final

import pytest

from svc.serving.stop_order import SAME_ORDER_SECONDS
from svc.telemetry import logs
from svc.telemetry.logs import JsonFormatter, QueuedHandler
from svc.telemetry.tracing import FLUSH_SECONDS
from tests.support.plain_http import fetch
from tests.support.ports import closed_port
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, service_process
from tests.support.waiting import until
from tests.svc.telemetry.process_log import logged_process

NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"


@pytest.mark.parametrize("signals", [1, 2])
def test_a_process_whose_log_nobody_reads_still_ends(
    shared_redis: RedisServer, signals: int
) -> None:
    """With Python's default buffering; the image sets PYTHONUNBUFFERED."""
    with service_process(
        KV_STORE_URL=shared_redis.url,
        KV_ACCESS_LOG="all",
        KV_DRAIN_SECONDS="0" if signals == 1 else "300",
        PYTHONUNBUFFERED="",
    ) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        for _ in range(1000):  # several times what the pipe holds
            connection.request("GET", "/v1/limits")
            connection.getresponse().read()
        connection.close()

        service.signal(signal.SIGTERM)
        if signals == 2:
            ready = f"{service.admin_base}/readyz"
            until(lambda: fetch(ready).status == 503, what="the drain")
            time.sleep(SAME_ORDER_SECONDS)
            service.signal(signal.SIGTERM)

        assert service.wait() == (0 if signals == 1 else 143)


def test_lines_that_wait_behind_a_slow_stream_are_written_at_the_end_even_if_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MAX_QUEUED", 5)
    entered, let_go = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            entered.set()
            assert let_go.wait(60)
            return super().write(text)

    stream = Slow()
    handler = QueuedHandler(stream, logging.Formatter("%(message)s"))
    say(handler, "0")
    assert entered.wait(60)
    for n in range(1, 6):
        say(handler, str(n))

    threading.Timer(0.2, let_go.set).start()
    handler.close()

    assert stream.getvalue().split() == ["0", "1", "2", "3", "4", "5"]


def say(handler: logging.Handler, message: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))


def test_a_line_with_a_lone_surrogate_is_written() -> None:
    """Invalid UTF-8 in a request becomes lone surrogates in the program."""
    record = logging.makeLogRecord({"msg": "said", "fact": "caf\udcff", "levelname": "INFO"})

    assert '"said"' in JsonFormatter({}).format(record)


def started(**environ: str) -> subprocess.CompletedProcess[str]:
    """Start a service with tracing. If it starts, stop it."""
    ports = {"KV_HOST": "127.0.0.1", "KV_PORT": "0", "KV_ADMIN_PORT": "0"}
    program = (
        "import os, signal, svc.__main__ as program, svc.serve_command as serving\n"
        "serving._log_ready = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise SystemExit(program.main(['serve']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            **os.environ,
            **ports,
            "KV_STORE_URL": NOWHERE,
            "KV_DRAIN_SECONDS": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE.replace("redis", "http"),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60 + FLUSH_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "511", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512"},
        {"OTEL_PROPAGATORS": ""},
    ],
)
def test_what_the_specification_allows_does_not_stop_the_start(environ: dict[str, str]) -> None:
    ended = started(**environ)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_PROPAGATORS", "tracecontext,none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_PYTHON_EXCLUDED_URLS", "("),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
    ],
)
def test_what_cannot_be_honoured_stops_the_start_with_one_line(name: str, value: str) -> None:
    ended = started(**{name: value})

    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"tallykv: {name}: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_log_knows_the_name_that_the_resource_attributes_give(
    shared_redis: RedisServer,
) -> None:
    with logged_process(
        KV_STORE_URL=shared_redis.url, OTEL_RESOURCE_ATTRIBUTES="service.name=shop-kv"
    ) as service:
        service.end()

    assert {line["service.name"] for line in service.lines} == {"shop-kv"}
