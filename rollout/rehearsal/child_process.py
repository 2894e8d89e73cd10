"""Child processes that end with this process, even if it is killed.

``Child.stop`` ends one with SIGTERM, and with SIGKILL after a grace period. If this process is
killed, the kernel kills the children (parent_death_signal.py). Each child leads a session and a
process group of its own: Ctrl-C in a terminal does not reach it, and whatever it started is killed
with it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .errors import RehearsalFailed

_PARENT_DEATH_SIGNAL: Final = Path(__file__).with_name("parent_death_signal.py")
_LOG_TAIL_BYTES: Final = 2000
_MAX_LINE_BYTES: Final = 1 << 20
_POLL_SECONDS: Final = 0.01


class Child:
    """A running process; ``stdout`` is readable if it was started with ``capture_stdout``."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._log = log
        self._process = process
        # For an exit without cleanup on systems that have no parent-death signal.
        atexit.register(self.kill)

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        capture_stdout: bool = False,
    ) -> Child:
        """Start a command. Its output is appended to ``log``, except a captured stdout."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_PARENT_DEATH_SIGNAL), str(os.getpid())),
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture_stdout else output,
                stderr=output,
                env=environ,
                start_new_session=True,
                limit=_MAX_LINE_BYTES,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        return self._process.returncode

    @property
    def stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None  # noqa: S101 - started with capture_stdout
        return self._process.stdout

    async def wait(self) -> int:
        """Wait until the process ends; return its exit code."""
        return await self._process.wait()

    async def wait_ready(self, is_ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Poll ``is_ready`` until it returns True.

        Raise RehearsalFailed, with the end of the log, if the process ends first or is not ready
        after ``seconds``.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await is_ready():
                    if self.exit_code is not None:
                        raise RehearsalFailed(
                            f"{self.name} ended with code {self.exit_code} before it was ready:"
                            f" {self.log_tail()}"
                        )
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RehearsalFailed(
                f"{self.name} is not ready after {seconds:g} s: {self.log_tail()}"
            ) from None

    async def stop(self, grace_seconds: float) -> None:
        """End the process: SIGTERM, then SIGKILL after ``grace_seconds``; return when it is gone.

        With 0, send SIGKILL at once.
        """
        try:
            if self.exit_code is None and grace_seconds > 0:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self.wait()
        finally:
            self.kill()
            await self.wait()
            atexit.unregister(self.kill)

    def kill(self) -> None:
        """Send SIGKILL to the process and to everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        return log_tail(self._log)


def log_tail(log: Path) -> str:
    """Return the last 2000 bytes of a log file as text."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace").strip()
