"""The output of the process when it starts, and when it can't start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from svc.__main__ import main
from svc.settings import FLAGS, env_name, flag_name
from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, service_process
from tests.support.waiting import PATIENT_SECONDS, until


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KV_")}
    return subprocess.run(
        [sys.executable, "-m", "svc", *arguments],
        cwd=ROOT,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENT_SECONDS,
        check=False,
    )


def refusal_of(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tallykv: "), line
    return line


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("variable", ["KV_PORT", "KV_ADMIN_PORT"])
def test_a_port_in_use_is_named(redis_server: RedisServer, taken_port: int, variable: str) -> None:
    ports = {"KV_PORT": "0", "KV_ADMIN_PORT": "0", variable: str(taken_port)}

    line = refusal_of(run("serve", KV_STORE_URL=redis_server.url, KV_HOST="127.0.0.1", **ports))

    assert variable in line
    assert str(taken_port) in line
    assert "in use" in line


def test_an_address_that_is_not_ours_is_named(redis_server: RedisServer) -> None:
    line = refusal_of(
        run("serve", KV_STORE_URL=redis_server.url, KV_HOST="192.0.2.1", KV_AUTH="none")
    )

    assert "192.0.2.1" in line
    assert "choose another KV_HOST" in line


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_host_that_is_not_found_is_named(
    redis_server: RedisServer, host: str, workers: str
) -> None:
    line = refusal_of(
        run(
            "serve",
            KV_STORE_URL=redis_server.url,
            KV_HOST=host,
            KV_AUTH="none",
            KV_WORKERS=workers,
        )
    )

    assert host in line
    assert "Unknown error" not in line
    assert "choose another KV_HOST" in line


@pytest.fixture
def say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs main() where it can't serve, and returns its code and output."""

    def run_here(*arguments: str, **environ: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tallykv", *arguments])
        for name in [name for name in os.environ if name.startswith("KV_")]:
            monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run_here


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ([], {"KV_FOO": "1"}, ["KV_FOO", "no such setting"]),
        ([], {"KV_PROT": "1"}, ["KV_PROT", "KV_PORT"]),
        ([], {"KV_PORT": "eighty"}, ["KV_PORT", "eighty"]),
        ([], {"KV_PORT": "65536"}, ["KV_PORT", "65535"]),
        ([], {"KV_PORT": "tcp://10.0.0.1:80"}, ["KV_PORT", "enableServiceLinks"]),
        ([], {"KV_ROLES": "kv,queues"}, ["KV_ROLES", "counters"]),
        (["--port", "eighty"], {"KV_PORT": "8080"}, ["--port", "eighty"]),
    ],
    ids=str,
)
def test_a_setting_that_cant_be_used_is_named(
    say: Callable[..., tuple[int, str]],
    arguments: list[str],
    environ: dict[str, str],
    words: list[str],
) -> None:
    code, said = say("serve", *arguments, **environ)

    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith("tallykv: ")
    for word in words:
        assert word in line


def test_help_lists_each_setting_with_its_variable_and_default(
    say: Callable[..., tuple[int, str]],
) -> None:
    code, said = say("serve", "--help")

    assert code == 0
    text = re.sub(r"\s+", "", said)
    for name in FLAGS:
        assert flag_name(name) in text
        assert f"[{env_name(name)}=" in text


def test_without_a_command_it_says_how_to_use_it(say: Callable[..., tuple[int, str]]) -> None:
    code, said = say()

    assert code == 2
    assert said.startswith("usage: tallykv")


def test_started_as_a_module_it_names_itself_so() -> None:
    assert run().stderr.startswith("usage: python -m svc ")


def test_at_start_it_prints_the_address_the_data_and_three_requests_that_work(
    tmp_path: Path,
) -> None:
    with service_process(
        KV_DATA_DIR=str(tmp_path / "data"), KV_DRAIN_SECONDS="0", KV_LOG_FORMAT="text"
    ) as service:
        service.signal(signal.SIGTERM)
        service.wait()
        said = service.output()

    assert service.base in said
    assert service.admin_base in said
    assert str(tmp_path / "data") in said
    curls = [line.strip() for line in said.splitlines() if line.strip().startswith("curl ")]
    assert len(curls) == 3
    assert all(service.base in line for line in curls)


def test_a_password_in_the_store_url_is_never_said() -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}"
    with service_process(KV_STORE_URL=url, KV_DRAIN_SECONDS="0") as service:
        answer = fetch(f"{service.base}/v1/kv/k")
        service.signal(signal.SIGTERM)
        service.wait()
        said = service.output()

    assert answer.status == 503
    assert "secret" not in said + answer.body.decode()


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_end_it(redis_server: RedisServer, closed: str) -> None:
    port, admin_port = free_port(), free_port()
    process = subprocess.Popen(
        ["sh", "-c", f"exec {sys.executable} -m svc serve {closed}"],
        cwd=ROOT,
        env={
            **os.environ,
            "KV_STORE_URL": redis_server.url,
            "KV_PORT": str(port),
            "KV_ADMIN_PORT": str(admin_port),
        },
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v1/limits") as found:
                return bool(found.status == 200)
        except OSError:
            assert process.poll() is None
            return False

    try:
        for _ in range(2):
            until(answers, what="an answer")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
