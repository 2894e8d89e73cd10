"""Starts tallykv-rollout in a process; its children are killed at the end of a test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.rollout.cli.warm_process import ForkedProcess, fork
from tests.support.api_server import ApiServer
from tests.support.manifests import ROOT
from tests.support.processes import is_running, name_of
from tests.support.waiting import until

#: An environment variable of the command, which its children inherit.
MARK: Final = "TALLYKV_COMMANDS_TEST"
SECONDS: Final = 180.0


@dataclass
class Command:
    """A command that was started. ``out`` and ``err`` are its output so far."""

    process: subprocess.Popen[bytes] | ForkedProcess
    mark: str
    directory: Path
    #: Its directory for temporary files.
    temporary: Path

    @property
    def out(self) -> str:
        return (self.directory / f"{self.mark}.out").read_text()

    @property
    def err(self) -> str:
        return (self.directory / f"{self.mark}.err").read_text()

    def wait_for(self, pattern: str) -> None:
        """Wait until its output matches; if it ends before that, fail with the output."""

        def look() -> bool:
            found = re.search(pattern, self.out) is not None
            assert found or self.process.poll() is None, f"it ended: {self.out}{self.err}"
            return found

        until(look, seconds=SECONDS, what=pattern)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command, but not to its children."""
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        """Return the exit code; if it does not end, fail with the last of its output."""
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            said = f"{self.out[-4000:]}{self.err[-4000:]}"
            raise AssertionError(f"it did not end in {SECONDS:g} s: {said}") from None

    def children(self) -> dict[int, str]:
        """Return the running processes with the mark, except the command, and their names."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                marked = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                if marked and pid != self.process.pid and is_running(pid):
                    found[pid] = name_of(pid)
        return found

    def assert_no_process_left(self) -> None:
        until(lambda: not self.children(), seconds=SECONDS, what="the end of the children")

    def assert_nothing_left(self) -> None:
        self.assert_no_process_left()
        assert list(self.temporary.iterdir()) == []


@contextlib.contextmanager
def started(
    directory: Path,
    *arguments: str | Path,
    environ: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Iterator[Command]:
    """Start ``tallykv-rollout``; at the end, kill it and its remaining children by pid.

    It is a fork of a process that has imported it, which starts a second sooner; with ``fresh``, a
    Python of its own.
    """
    mark = uuid.uuid4().hex
    words = [*map(str, arguments)]
    # A short path, because the path of a Unix socket must fit into about a hundred bytes.
    temporary = Path(tempfile.mkdtemp(prefix="kv-"))
    env = {**os.environ, **(environ or {}), MARK: mark, "TMPDIR": str(temporary)}
    process: subprocess.Popen[bytes] | ForkedProcess
    with (
        (directory / f"{mark}.out").open("wb") as out,
        (directory / f"{mark}.err").open("wb") as err,
    ):
        if fresh:
            process = subprocess.Popen(
                [sys.executable, "-m", "rollout", *words],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        else:
            process = fork(words, env, out.fileno(), err.fileno())
    command = Command(process, mark, directory, temporary)
    try:
        yield command
    finally:
        process.kill()
        process.wait(SECONDS)
        for pid in command.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(temporary)


def finished(
    directory: Path,
    *arguments: str | Path,
    environ: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Command:
    """Start it and wait for its end."""
    with started(directory, *arguments, environ=environ, fresh=fresh) as command:
        command.wait()
    return command


def killed_when(
    directory: Path, server: ApiServer, reached: Callable[[], bool], *arguments: str | Path
) -> int:
    """Start it, kill it when a write has brought about a state of the cluster.

    Return its code, negative for a kill.
    """
    server.freeze_when(reached)
    with (
        started(directory, *arguments) as command,
        server.frozen(what=f"the state for the kill of {arguments[0]}"),
    ):
        command.signal(signal.SIGKILL)
        return command.wait()


#: Why a canary is rolled back before it has all traffic, if a busy machine holds its process up.
HELD_UP: Final = ("more of the canary's requests take over", "the canary has become slower")


def rehearsed_good(directory: Path, *arguments: str | Path) -> Command:
    """Rehearse a good release to its end; once more if only the time it took speaks against it."""
    said = finished(directory, "rehearse", *arguments)
    if any(each in said.out for each in HELD_UP):
        said = finished(directory, "rehearse", *arguments)
    return said


def assert_promoted(said: Command) -> None:
    """Assert that the canary got all traffic and was not worse, except for the time it took.

    Releases that a directory without a plan names are compared by their latencies, too, and a busy
    machine may hold up one of them.
    """
    slower = "slower: with all traffic, the canary is slower than the stable release was before"
    assert re.search(r"window  100  stable 0/0 failed  canary 0/[1-9]", said.out), said.out
    assert said.process.returncode == (1 if slower in said.out else 0), said.out + said.err
