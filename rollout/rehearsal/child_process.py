"""Processes that end with us: told to, after a bound made to, and by the kernel if we are killed.

Each is the leader of a session and group of its own. So Ctrl-C in a terminal reaches us alone, and
we end them in our order; and what a child started itself ends with it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_LEASH: Final = Path(__file__).with_name("leash.py")
#: How much of its log's end is shown when a child failed, in bytes.
_SAID_BYTES: Final = 2000
_LINE_BYTES: Final = 1 << 20


class Child:
    """A process that was started; ``output`` is its stdout if that was asked for."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        # For an end that unwinds nothing, where the kernel does not watch us.
        atexit.register(self.kill)

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        piped: bool = False,
    ) -> Child:
        """Start a command; what it says goes to ``log``, with ``piped`` all but its stdout."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())),
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else output,
                stderr=output,
                env=environ,
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def output(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None  # noqa: S101 - asked for with piped
        return self._process.stdout

    async def wait(self) -> int:
        """Return its exit code once it ended."""
        return await self._process.wait()

    async def stop(self, grace_seconds: float) -> None:
        """End it with SIGTERM, after ``grace_seconds`` with SIGKILL; return once it is gone."""
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
        """End it and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def said(self) -> str:
        """Return the end of its log."""
        return end_of(self.log)


def end_of(log: Path) -> str:
    """Return the last lines of a log."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _SAID_BYTES))
        return file.read().decode("utf-8", "replace").strip()
