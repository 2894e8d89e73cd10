"""``tallykv-rollout`` as its users start it; nothing that it starts outlives a test."""

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.manifests import ROOT
from tests.support.processes import is_running, name_of
from tests.support.waiting import until

#: In the environment of the command, and so of all that it starts.
MARK: Final = "TALLYKV_COMMANDS_TEST"
SECONDS: Final = 60.0


@dataclass
class Command:
    """A command that was started. ``out`` and ``err`` are what it said so far."""

    process: subprocess.Popen[bytes]
    mark: str
    directory: Path
    #: Where it puts what is only its own.
    temporary: Path

    @property
    def out(self) -> str:
        return (self.directory / f"{self.mark}.out").read_text()

    @property
    def err(self) -> str:
        return (self.directory / f"{self.mark}.err").read_text()

    def wait_for(self, pattern: str) -> None:
        """Wait until it says so; an end before that fails with what it said instead."""

        def look() -> bool:
            found = re.search(pattern, self.out) is not None
            assert found or self.process.poll() is None, f"it ended: {self.out}{self.err}"
            return found

        until(look, seconds=SECONDS, what=pattern)

    def signal(self, number: signal.Signals) -> None:
        """Signal the command alone, as nothing but a terminal signals its children too."""
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def children(self) -> dict[int, str]:
        """Return the running processes that carry the mark, but the command, with their names."""
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
    directory: Path, *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> Iterator[Command]:
    """Start ``tallykv-rollout`` with these arguments; what is left at the end is killed by pid."""
    mark = uuid.uuid4().hex
    # A short path: a socket's has to fit into a hundred bytes.
    temporary = Path(tempfile.mkdtemp(prefix="kv-"))
    with (
        (directory / f"{mark}.out").open("wb") as out,
        (directory / f"{mark}.err").open("wb") as err,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "rollout", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **(environ or {}), MARK: mark, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
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
    directory: Path, *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> Command:
    """Start it and wait for its end."""
    with started(directory, *arguments, environ=environ) as command:
        command.wait()
    return command
