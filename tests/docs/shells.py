"""One page's shell, its service, and whatever else the page starts."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.support.ports import free_port, free_ports
from tests.support.waiting import until

ROOT: Final = Path(__file__).parents[2]
COMMAND_SECONDS: Final = 300.0
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
_END: Final = "end-of-command"
#: Commands that need the service.
_ASKS: Final = re.compile(r"localhost:(8080|910\d)|tallykv (get|put|incr|ls|watch|rm)\b")
#: Variables that would change what the commands do.
_FOREIGN: Final = re.compile(
    r"KV_|TALLYKV_|OTEL_|ARGS|JOBS|MAKE|PYTEST|MFLAGS|GRAFANA_|COV_|PYTHON"
)


class CommandFailed(AssertionError):
    """A command took too long, or ended with another exit code than the page says."""


@dataclass
class Background:
    """A command that goes on running; its output grows."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
            raise


class Shell:
    """A bash in the project's root, in which ``make`` and ``tallykv`` use this Python.

    Ports 8080, 9102 and 9103 of localhost become free ones in commands, and again 8080, 9102 and
    9103 in their output.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = dict(zip(("8080", "9102", "9103"), _free_ports(), strict=True))
        self._environ = self._prepare()
        self._backgrounds: list[Background] = []
        self._shell = self._start(["bash", "--noprofile", "--norc"], subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait(STOP_SECONDS)
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()
        for each in self._backgrounds:
            each.stop()

    def run(self, command: str, *, exits: int = 0) -> str:
        """Return the command's output, stderr included; raise CommandFailed."""
        if not self._backgrounds and _ASKS.search(command):
            self.start("exec python -m svc serve", lambda _: False)
        assert self._shell.stdin is not None
        # The last failure of any command in it counts, not only that of the last one.
        script = (
            f"failed=0; trap 'failed=$?' ERR\n{{\n{self._translate(command)}\n}} </dev/null\n"
            f"trap - ERR; printf '\\n%s %s\\n' {_END} $failed\n"
        )
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()
        output, code = self._read(command)
        if code != exits:
            raise CommandFailed(f"exit code {code}, not {exits}: {command}\n{output}")
        return output

    def save(self, name: str, text: str) -> None:
        """Save a file as the reader would."""
        path = ROOT / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(self._translate(text))

    def start(self, command: str, has_started: Callable[[str], bool]) -> Background:
        """Run a command in the background, instead of earlier ones.

        Return when ``has_started`` is true of its output, or when it answers as a service that is
        ready; of two workers, both.
        """
        while self._backgrounds:
            self._backgrounds.pop().stop()
        log = self._directory / f"background-{len(list(self._directory.glob('*.log')))}.log"
        with log.open("wb") as stdout:
            process = self._start(["bash", "-c", self._translate(command)], None, stdout.fileno())
        background = Background(process, log)
        workers = re.search(r"(?:--workers |KV_WORKERS=)(\d)", command)
        admin_ports = ["9102", "9103"] if workers and workers[1] == "2" else ["9102"]
        self._backgrounds.append(background)

        def look() -> bool:
            if process.poll() is not None:
                raise CommandFailed(f"it ended: {command}\n{background.output()}")
            return has_started(self.translate_back(background.output())) or all(
                _is_ready(self._ports[port]) for port in admin_ports
            )

        until(look, seconds=START_SECONDS, what=command)
        return background

    def translate_back(self, output: str) -> str:
        for shown, port in self._ports.items():
            output = re.sub(rf"\b(localhost|127\.0\.0\.1):{port}\b", rf"\1:{shown}", output)
        return output

    def _translate(self, command: str) -> str:
        for shown, port in self._ports.items():
            command = re.sub(rf"\b(localhost|127\.0\.0\.1):{shown}\b", rf"\1:{port}", command)
        return command

    def _read(self, command: str) -> tuple[str, int]:
        assert self._shell.stdout is not None
        pipe = self._shell.stdout.fileno()
        give_up = time.monotonic() + COMMAND_SECONDS
        output = b""
        while not (found := re.search(rf"\n{_END} (\d+)\n\Z".encode(), output)):
            readable, _, _ = select.select([pipe], [], [], max(0, give_up - time.monotonic()))
            part = os.read(pipe, 1 << 16) if readable else b""
            if not part:
                why = "it ended the shell" if readable else f"no end in {COMMAND_SECONDS:g} s"
                raise CommandFailed(f"{why}: {command}\n{output.decode(errors='replace')}")
            output += part
        text = output[: found.start()].decode(errors="replace").replace("\r\n", "\n")
        return self.translate_back(text), int(found[1])

    def _start(
        self, argv: list[str], stdin: int | None, stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=self._environ,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _is_ready(self) -> bool:
        url = f"http://127.0.0.1:{self._ports['9102']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _prepare(self) -> dict[str, str]:
        """Write what the commands find in their PATH and home; return their environment."""
        programs, home = self._directory / "bin", self._directory / "home"
        modules = self._directory / "modules"
        for each in (programs, home, modules):
            each.mkdir(parents=True)
        # What the reader has installed under this name.
        (modules / "tallykv").symlink_to(ROOT / "svc")
        for name, arguments in {
            "python": "",
            "tallykv": " -m svc",
            "tallykv-rollout": " -m rollout",
        }.items():
            script = programs / name
            # Of the files that a page has saved, the reader's Python finds tallykv installed.
            found = f'case "$1" in build/*.py) export PYTHONPATH="{modules}";; esac\n'
            script.write_text(f'#!/bin/sh\n{found}exec "{sys.executable}"{arguments} "$@"\n')
            script.chmod(0o755)
        # On a reader's terminal curl shows no progress either.
        (home / ".curlrc").write_text("no-progress-meter\n")
        beside = Path(sys.executable).parent
        environ = own_environ()
        return environ | {
            "PATH": f"{programs}:{beside}:{environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "TALLYKV_URL": f"http://localhost:{self._ports['8080']}",
            "MAKEFLAGS": f"--no-print-directory -- VENV={virtual_environment(self._directory)}",
            "KV_PORT": self._ports["8080"],
            "KV_ADMIN_PORT": self._ports["9102"],
            "KV_POD": "tallykv-0",
            "KV_DATA_DIR": str(self._directory / "tallykv-data"),
            "KV_DRAIN_SECONDS": "0",
            "KV_STORE_TIMEOUT_MS": "30000",  # a busy machine must not change what is answered
            "KV_LOG_FORMAT": "text",
            # aiohttp reads the system's certificates when it is imported, and no page asks a server
            # that has one of them. The pods of a rehearsal inherit it.
            "SSL_CERT_FILE": os.devnull,
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "100",
            "no_proxy": "*",
        }


def _is_ready(admin_port: str) -> bool:
    url = f"http://127.0.0.1:{admin_port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def own_environ() -> dict[str, str]:
    """Return the environment without what would change the commands, as a surrounding make's."""
    return {name: text for name, text in os.environ.items() if not _FOREIGN.match(name)}


def virtual_environment(directory: Path) -> Path:
    """Make a directory that the Makefile takes for a complete ``.venv``: this Python's."""
    found = directory / "venv"
    found.mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.suffix != ".stamp":
            (found / each.name).symlink_to(each)
    for name in ("made", "run", "dev", "bench"):
        (found / f"{name}.stamp").touch()
    return found


def missing_programs() -> list[str]:
    return [name for name in ("bash", "curl", "make") if shutil.which(name) is None]


def _free_ports() -> list[str]:
    """Return three ports as text, the last two of which follow each other."""
    traffic, admin = free_port(), free_ports(2)
    return [str(port) for port in (traffic, admin, admin + 1)]
