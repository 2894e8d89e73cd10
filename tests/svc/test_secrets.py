"""No part of a URL that may hold a secret is repeated, whatever the service says about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, ServiceProcess
from tests.support.waiting import until
from tests.svc.stores.test_store_urls import BAD

MARKER = "hunter2"

#: URLs that the service takes, and that fail: PORT refuses, OPEN is a Redis without passwords.
FAILING = {
    "a refused port": f"redis://u:{MARKER}@127.0.0.1:PORT/0",
    "a refused port with TLS": f"rediss://u:{MARKER}@127.0.0.1:PORT?ssl_cert_reqs=none",
    "a password that is not asked for": f"redis://u:{MARKER}@127.0.0.1:OPEN",
    "a password in the query": f"redis://127.0.0.1:OPEN?password={MARKER}",
    "TLS to a plain server": f"rediss://u:{MARKER}@127.0.0.1:OPEN",
    "a name that does not resolve": f"redis://:{MARKER}@{MARKER}.invalid",
    "a cluster that is none": f"redis+cluster://:{MARKER}@127.0.0.1:OPEN",
    "a cluster that does not answer": f"redis+cluster://:{MARKER}@127.0.0.1:PORT",
    "Sentinels that do not answer": f"redis+sentinel://:{MARKER}@127.0.0.1:PORT/{MARKER}",
    "a socket that is not there": f"unix://:{MARKER}@/{MARKER}/redis.sock",
}
#: Variables that name a collector, and that are malformed or fail.
COLLECTORS = {
    "a refused port": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://u:{MARKER}@127.0.0.1:PORT/{MARKER}?t={MARKER}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {MARKER}",
    },
    "headers that are none": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:OPEN/{MARKER}",
        "OTEL_EXPORTER_OTLP_HEADERS": MARKER,
    },
    "a host that is none": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://[{MARKER}"},
    "a port that is none": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://x:{MARKER}/v1"},
    "another scheme": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"ftp://u:{MARKER}@collector"},
    "a URL as another variable": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:PORT",
        "OTEL_TRACES_SAMPLER": f"http://u:{MARKER}@collector",
    },
}


def fill_in(text: str, server: RedisServer) -> str:
    return text.replace("PORT", str(free_port())).replace("OPEN", str(server.port))


def all_that_is_said(service: ServiceProcess) -> str:
    """Start the service, ask it for everything if it serves, end it, and return all it said."""
    said = ""
    service.start(wait=False)
    until(lambda: has_ended(service) or is_ready(service), what="an end")
    if not has_ended(service):
        for path in ("/v1/kv/k", "/v1/counters/n", "/v1/kv", "/v1/limits"):
            answer = fetch(service.base + path)
            said += f"{answer.headers} {answer.body!r}"
        fetch(f"{service.base}/v1/kv/k", "PUT", b"v", Content_Type="text/plain")
        for path in ("/statusz", "/metrics", "/version", "/readyz"):
            said += repr(fetch(service.admin_base + path).body)
        service.signal(signal.SIGTERM)
    service.wait(60)
    return said + service.output()


def has_ended(service: ServiceProcess) -> bool:
    return service.process is not None and service.process.poll() is not None


def is_ready(service: ServiceProcess) -> bool:
    try:
        return fetch(f"{service.admin_base}/readyz").status == 200
    except OSError:
        return False


def assert_keeps_the_secret(**environ: str) -> str:
    service = ServiceProcess({"KV_DRAIN_SECONDS": "0", **environ})
    try:
        said = all_that_is_said(service)
    finally:
        service.stop()
    assert said
    assert MARKER not in said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("case", ["a password with a slash", "a cluster's password with a slash"])
def test_a_malformed_url_in_the_environment_is_not_repeated(case: str, workers: str) -> None:
    said = assert_keeps_the_secret(
        KV_STORE_URL=BAD[case][0].replace("SECRET", MARKER), KV_WORKERS=workers
    )

    assert said.startswith("tallykv: KV_STORE_URL: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("url", FAILING.values(), ids=FAILING.keys())
def test_a_failing_store_does_not_show_its_url(url: str, redis_server: RedisServer) -> None:
    said = assert_keeps_the_secret(
        KV_STORE_URL=fill_in(url, redis_server),
        # Some of these servers never answer: each request waits as long as this.
        KV_STORE_TIMEOUT_MS="1000",
        KV_LOG_FORMAT="text",
        KV_ACCESS_LOG="all",
    )

    assert "store fails" in said


@pytest.mark.parametrize("environ", COLLECTORS.values(), ids=COLLECTORS.keys())
def test_a_failing_collector_does_not_show_its_url_or_headers(
    environ: dict[str, str], redis_server: RedisServer
) -> None:
    assert_keeps_the_secret(
        KV_STORE_URL=redis_server.url,
        **{
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            **{name: fill_in(text, redis_server) for name, text in environ.items()},
        },
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", f"--store-urll=redis://:{MARKER}@h"],
        ["serve", "--store-urll", f"redis://:{MARKER}@h"],
        ["serve", f"--store=redis://:{MARKER}@h"],
        ["serve", f"--store-password={MARKER}"],
        ["serve", f"redis://:{MARKER}@h"],
        ["serve", f"--port=redis://:{MARKER}@h"],
        [f"redis://:{MARKER}@h"],
        ["serve", "--help"],
    ],
    ids=str,
)
def test_a_malformed_command_line_is_not_repeated(arguments: list[str]) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("KV_")}

    ended = subprocess.run(
        [sys.executable, "-m", "svc", *arguments],
        cwd=ROOT,
        env={**environ, "KV_STORE_URL": f"redis://:{MARKER}@h", "KV_STORE_PASSWORD": MARKER},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == (0 if "--help" in arguments else 2)
    assert MARKER not in ended.stdout + ended.stderr


def test_the_password_of_a_file_is_used_and_read_again_after_a_change(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{MARKER}\n")
    with redis_server.client() as client:
        client.config_set("requirepass", MARKER)
        service = ServiceProcess(
            {
                "KV_STORE_URL": redis_server.url,
                "KV_STORE_PASSWORD_FILE": str(file),
                "KV_DRAIN_SECONDS": "0",
                "KV_STORE_TIMEOUT_MS": "30000",
            }
        )
        try:
            service.start()
            assert fetch(f"{service.base}/v1/kv/k").status == 404

            client.config_set("requirepass", f"another-{MARKER}")
            client.client_kill_filter(_type="normal", skipme=True)
            assert fetch(f"{service.base}/v1/kv/k").status == 503
            file.write_text(f"another-{MARKER}")
            assert fetch(f"{service.base}/v1/kv/k").status == 404

            file.unlink()
            client.client_kill_filter(_type="normal", skipme=True)
            assert fetch(f"{service.base}/v1/kv/k").status == 503
            failures = fetch(f"{service.admin_base}/statusz").json["store"]["failures"]
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
            assert MARKER not in service.output()
        finally:
            service.stop()
    assert {each["reason"] for each in failures} >= {"auth", "password_file"}


def test_the_password_of_a_variable_is_used(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.config_set("requirepass", MARKER)
    service = ServiceProcess(
        {"KV_STORE_URL": redis_server.url, "KV_STORE_PASSWORD": MARKER, "KV_WORKERS": "1"}
    )
    try:
        service.start()
        assert fetch(f"{service.base}/v1/kv/k").status == 404
    finally:
        service.stop()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("content", "word"), [(None, "No such file"), (b"", "hold"), (b"\n", "hold"), (b"\xff", "UTF")]
)
def test_a_password_file_that_can_not_be_used_is_refused_with_one_line(
    redis_server: RedisServer, tmp_path: Path, content: bytes | None, word: str, workers: str
) -> None:
    file = tmp_path / MARKER
    if content is not None:
        file.write_bytes(content)

    said = assert_keeps_the_secret(
        KV_STORE_URL=redis_server.url, KV_STORE_PASSWORD_FILE=str(file), KV_WORKERS=workers
    )

    (line,) = said.splitlines()
    assert line.startswith("tallykv: KV_STORE_PASSWORD_FILE: ")
    assert word in line


def test_two_passwords_are_refused(redis_server: RedisServer) -> None:
    url = redis_server.url.replace("//", f"//:{MARKER}@")

    said = assert_keeps_the_secret(KV_STORE_URL=url, KV_STORE_PASSWORD=f"another-{MARKER}")

    assert said.startswith("tallykv: KV_STORE_URL: ")
