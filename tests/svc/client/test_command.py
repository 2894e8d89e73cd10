"""``tallykv get|put|incr|ls|watch|rm``: bytes and lines out, exit codes, errors that help."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from svc.__main__ import main
from tests.support.ports import closed_port, free_port
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, service_process
from tests.support.tokens import text_of
from tests.support.waiting import PATIENT_SECONDS

ETAG: Final = re.compile(r'"[0-9a-f]+"\n')
NOWHERE: Final = f"http://127.0.0.1:{closed_port()}"


@pytest.fixture(scope="module")
def base(shared_redis: RedisServer) -> Iterator[str]:
    with service_process(KV_STORE_URL=shared_redis.url) as service:
        yield service.base


@pytest.fixture
def run(
    base: str, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Any:
    """Return a function that runs a command, with bytes as its input: exit code, output, errors."""
    monkeypatch.setenv("TALLYKV_URL", base)

    def run(*words: str, sent: bytes = b"") -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
        try:
            code = main([*words, "--deadline=120"] if "--deadline=1" not in words else list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        out, errors = capfdbinary.readouterr()
        return code, out, errors.decode()

    return run


def test_bytes_come_out_as_they_went_in(run: Any) -> None:
    raw = bytes(range(256))

    code, etag, _ = run("put", "c/bytes", sent=raw)
    assert (code, bool(ETAG.fullmatch(etag.decode()))) == (0, True)
    assert run("get", "c/bytes") == (0, raw, "")

    assert run("put", "c/text", "grün", "--ttl", "none")[0] == 0
    assert run("put", "c/json", '{"n":1}', "--json", "--ttl=60")[0] == 0
    head = b"Content-Type: text/plain; charset=utf-8\nKV-TTL: none\n\ngr\xc3\xbcn"
    assert run("get", "-i", "c/text")[1].partition(b"\n")[2] == head
    assert b"application/json" in run("get", "-i", "c/json")[1]


def test_conditions_hold_and_have_an_exit_code(run: Any) -> None:
    etag = run("put", "d/k", "1")[1].decode().strip()

    assert run("put", "d/k", "2", "--if-match", etag)[0] == 0
    code, out, errors = run("put", "d/k", "3", "--if-match", etag)
    assert (code, out) == (4, b"")
    assert "precondition_failed, applied: no" in errors
    assert run("put", "d/k", "4", "--create")[0] == 4
    assert run("get", "d/k")[1] == b"2"


def test_counters_are_counted_listed_and_deleted(run: Any) -> None:
    assert run("incr", "e:n") == (0, b"1\n", "")
    assert run("incr", "e:n", "5", "--idempotency-key=once")[1] == b"6\n"
    assert run("incr", "e:n", "5", "--idempotency-key=once")[1] == b"6\n"
    assert run("incr", "e:n", "-7", "--min=0")[0] == 4
    assert run("ls", "--counters", "e:") == (0, b"e:n\t6\n", "")
    assert run("rm", "--counters", "e:n") == (0, b"", "")
    assert run("rm", "--counters", "e:n")[0] == 1


def test_entries_are_listed_and_deleted(run: Any) -> None:
    for key in ("f/1", "f/2"):
        run("put", key, "v")

    assert sorted(run("ls", "f/")[1].split()) == [b"f/1", b"f/2"]
    lines = [json.loads(line) for line in run("ls", "f/", "--json")[1].splitlines()]
    assert {line["key"]: line["size"] for line in lines} == {"f/1": 1, "f/2": 1}
    assert run("rm", "f/1", "f/none", "f/2") == (1, b"", "tallykv: there is no 'f/none'\n")
    assert run("ls", "f/") == (0, b"", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("get", "none"), 1, "there is no such entry"),
        (("get", "a//b"), 2, "empty segment"),
        (("put", "k", "{", "--json"), 2, "JSON"),
        (("put", "k", "v", "--ttl=soon"), 2, "seconds, none or keep"),
        (("incr", "n", "http://u:hunter2@h"), 2, "it is not a number"),
        (("get", "k", "--url=http://u:hunter2@h"), 2, "no user"),
        (("get", "k", "--ca-file=/nowhere"), 2, "No such file"),
        (("get", "k", "--token-file=/nowhere"), 2, "No such file"),
        (("get", "k", f"--url={NOWHERE}", "--deadline=1"), 3, "tallykv serve"),
        (("get", "k", "--deadline=nan"), 2, "--deadline: it must be more than 0 seconds"),
        (("get", "k", "--deadline=0"), 2, "--deadline: it must be more than 0 seconds"),
    ],
)
def test_a_failure_has_an_exit_code_and_says_what_to_do(
    run: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    ended, out, errors = run(*words)

    assert (ended, out) == (code, b"")
    assert said in errors
    assert "hunter2" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("put", "k", "v"), "to repeat it safely, add --idempotency-key "),
        (("incr", "n"), "to repeat it safely, add --idempotency-key "),
        (("rm", "k"), "to be sure, delete it again"),
    ],
)
def test_a_change_without_an_answer_says_how_to_repeat_it(
    run: Any, words: tuple[str, ...], said: str
) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:

        def end_each() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(65_536)
                    connection.close()

        threading.Thread(target=end_each, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        code, out, errors = run(*words, f"--url={url}", "--deadline=1")
        server.shutdown(socket.SHUT_RDWR)

    assert (code, out) == (3, b"")
    assert said in errors


def test_a_watch_prints_a_line_for_each_change_until_it_is_stopped(base: str, run: Any) -> None:
    run("put", "h/json", '{"n":1}', "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "svc", "watch", "h/"],
        cwd=ROOT,
        env={**os.environ, "TALLYKV_URL": base},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    last = threading.Timer(PATIENT_SECONDS, process.kill)
    last.start()
    try:
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        run("put", "h/text", "hi")
        run("rm", "h/json")
        lines += [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    finally:
        last.cancel()
        process.kill()

    shown = [
        (each["event"], each.get("name"), each.get("value", each.get("text"))) for each in lines
    ]
    assert shown[:2] == [("entry", "h/json", {"n": 1}), ("synced", None, None)]
    assert sorted(shown[2:]) == [("deleted", "h/json", None), ("entry", "h/text", "hi")]
    assert (process.returncode, errors) == (130, b"")


def test_a_reader_that_has_enough_ends_it_quietly(base: str, run: Any) -> None:
    run("put", "g/large", sent=b"x" * 1_000_000)
    ended = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m svc get g/large | head -c 3"],
        cwd=ROOT,
        env={**os.environ, "TALLYKV_URL": base, "TALLYKV_TOKEN": text_of("ignored")},
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == (b"xxx", b"")


def in_shell(base: str, command: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the shell, in which ``tallykv`` is the program."""
    program = f'tallykv() {{ {sys.executable} -m svc "$@"; }}'
    return subprocess.run(
        ["sh", "-c", f"{program}; {command}"],
        cwd=ROOT,
        env={**os.environ, "TALLYKV_URL": base, **environ},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_a_stream_that_is_closed_is_no_reason_to_fail(base: str, run: Any) -> None:
    assert in_shell(base, "tallykv put i/k v --deadline=60 >&-").returncode == 0
    assert run("get", "i/k")[1] == b"v"
    assert in_shell(base, "tallykv get i/k --deadline=60 >&-").returncode == 0

    # No error takes the place of the value.
    ended = in_shell(base, "tallykv get i/none --deadline=60 2>&-")
    assert (ended.returncode, ended.stdout) == (1, b"")

    ended = in_shell(base, "tallykv put i/k --deadline=60 <&-")
    assert (ended.returncode, ended.stderr) == (
        2,
        b"tallykv: standard input is closed: give the value as an argument\n",
    )


@pytest.mark.parametrize("words", ["get j/k", "ls j/", "put j/k v"])
def test_output_that_can_not_be_written_is_told_from_a_missing_entry(
    base: str, run: Any, words: str
) -> None:
    run("put", "j/k", "v")

    ended = in_shell(base, f"tallykv {words} --deadline=60 >/dev/full")

    assert ended.returncode == 3
    assert ended.stderr == b"tallykv: standard output: No space left on device\n"


def test_keys_are_utf_8_in_any_locale(base: str, run: Any) -> None:
    run("put", "l/ü", "v")

    ended = in_shell(base, "tallykv ls l/ --deadline=60", PYTHONIOENCODING="ascii")

    assert (ended.returncode, ended.stdout) == (0, "l/ü\n".encode())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tallykv put k </dev/zero", b"no service takes more than 16777216 bytes"),
        ("tallykv get k --token-file /bin/sh", b"/bin/sh: it is not UTF-8"),
    ],
)
def test_input_that_can_not_be_used_is_named(base: str, command: str, said: bytes) -> None:
    ended = in_shell(base, command)

    assert (ended.returncode, ended.stdout) == (2, b"")
    assert said in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_ctrl_c_while_it_loads_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("svc.__main__.run_client_command", interrupt)

    assert main(["get", "k"]) == 130


def test_without_the_extra_it_says_what_to_install(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("svc.client.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "svc.client")
    monkeypatch.setitem(sys.modules, "httpx", None)

    code, out, errors = run("get", "k")

    assert (code, out) == (2, b"")
    assert errors.endswith("pip install 'tallykv[client]'\n")
