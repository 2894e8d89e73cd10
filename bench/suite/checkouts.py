"""``make test`` in a clean checkout of the last commit.

It has this one's virtual environment, and a copy of mypy's cache: mypy compares the hash of each
source with it, and so checks what has changed since.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.processes import ROOT

from .reports import Report, read_report

TARGET: Final = "test"
END_SECONDS: Final = 60.0


class SuiteRun:
    """One run. Its checkout and its output are in the directory."""

    def __init__(self, directory: Path, target: str = TARGET) -> None:
        self.output = directory / "output.txt"
        self._report = directory / "report.xml"
        checkout = directory / "checkout"
        _clone(checkout)
        self._started = time.monotonic()
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                ["make", "--no-print-directory", target, f"ARGS=--junitxml={self._report}"],
                cwd=checkout,
                env=_environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._started) / 60

    def report(self) -> Report:
        """Return what the tests reported; raise BenchError with the output's end without tests."""
        try:
            report = read_report(self._report)
        except BenchError as error:
            raise BenchError(f"{error}: {self._last_lines()}") from None
        if self._process.returncode and not report.failed:
            raise BenchError(f"make {TARGET} failed, but no test did: {self._last_lines()}")
        return report

    def end(self) -> None:
        """End it with everything that it started, as a terminal's Ctrl-C does; then kill it."""
        if self.has_ended():
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return

    def _last_lines(self) -> str:
        return self.output.read_text(errors="replace")[-2000:]


@contextmanager
def suite_run(directory: Path, target: str = TARGET) -> Iterator[SuiteRun]:
    run = SuiteRun(directory, target)
    try:
        yield run
    finally:
        run.end()


def _clone(checkout: Path) -> None:
    command = ["git", "clone", "--quiet", str(ROOT), str(checkout)]
    cloned = subprocess.run(command, capture_output=True, text=True, check=False)
    if cloned.returncode:
        raise BenchError(f"{' '.join(command)}: {cloned.stderr.strip()}")
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    with contextlib.suppress(OSError):  # there is none, or mypy is writing it: it is only a cache
        shutil.copytree(ROOT / ".mypy_cache", checkout / ".mypy_cache")
    for requirements in (checkout / "requirements").glob("*.txt"):
        # Else make would take the environment for an older one.
        os.utime(requirements, (0, 0))


def _environ() -> dict[str, str]:
    """Return this environment. It is a clean checkout's, so it names the cases beside this one."""
    environ = dict(os.environ)
    if "TALLYKV_CASES" not in environ and (cases := ROOT.parent / "shared" / "cases").is_dir():
        environ["TALLYKV_CASES"] = str(cases)
    return environ
