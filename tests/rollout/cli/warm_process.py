"""Processes of tallykv-rollout, forked from one that has imported it: an import takes a second."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from rollout.__main__ import COMMANDS
from rollout.__main__ import main as rollout
from tests.support.manifests import ROOT


class ForkedProcess:
    """A command in a fork, with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self.pid = int(_read_line(answers))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal; raise subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = int(_read_line(self._answers))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._answers.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def fork(arguments: Sequence[str], environ: Mapping[str, str], out: int, err: int) -> ForkedProcess:
    """Run a command in a session of its own; ``out`` and ``err`` are files for its output."""
    requests = _warm_process()
    answers, theirs = socket.socketpair()
    with theirs:
        # The files come with the first byte of the line.
        socket.send_fds(requests, [b"["], [out, err, theirs.fileno()])
    requests.sendall(json.dumps([list(arguments), dict(environ)])[1:].encode() + b"\n")
    return ForkedProcess(answers)


def _read_line(connection: socket.socket) -> bytes:
    """Read up to the next newline, and nothing behind it."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            raise EOFError(line)
        line += part
    return line


@functools.cache
def _warm_process() -> socket.socket:
    """Start the process that forks. It ends when this process does."""
    requests, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.rollout.cli.warm_process"],
            cwd=ROOT,
            stdin=theirs.fileno(),
        )

    def close() -> None:
        requests.close()
        process.wait()

    atexit.register(close)
    return requests


def main() -> int:
    """Fork a command for each message; return the exit code, in a fork the one of its command."""
    requests = socket.socket(fileno=os.dup(0))
    while True:
        first, files, _, _ = socket.recv_fds(requests, 1, 3)
        if not first:
            break
        arguments, environ = json.loads(first + _read_line(requests))
        # Imported here and not in each fork. What is alive now is never garbage in a fork.
        if arguments and arguments[0] in COMMANDS:
            COMMANDS[arguments[0]].load()
        gc.freeze()
        if os.fork() == 0:
            requests.close()
            return _run_and_answer(arguments, environ, *files)
        for each in files:
            os.close(each)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return 0


def _run_and_answer(
    arguments: list[str], environ: dict[str, str], out: int, err: int, answer: int
) -> int:
    """Fork the command, answer its pid and, when it has ended, its exit code."""
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, file in enumerate((nothing, out, err)):
            os.dup2(file, target)
            os.close(file)
        os.environ.clear()
        os.environ.update(environ)
        tempfile.tempdir = None  # an import may have asked for it in the other environment
        return rollout(arguments)
    with socket.socket(fileno=answer) as answers, contextlib.suppress(BrokenPipeError):
        answers.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        answers.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
