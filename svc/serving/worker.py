"""One worker process as its supervisor sees it: started, watched, restarted, drained."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from .worker_channel import BEAT_SECONDS, INTERRUPT

#: A worker that runs for less than this counts towards a crash loop.
MIN_UPTIME_SECONDS: Final = 10.0
#: This many short runs of one worker in a row end the supervisor.
MAX_SHORT_RUNS: Final = 5
#: The pause before a restart, doubled after each further short run.
BACK_OFF_SECONDS: Final = 0.1
#: A serving worker whose event loop has not turned for this long is killed and replaced.
HUNG_SECONDS: Final = 10.0
#: The exit code of a process that could not start and has printed the reason.
CANT_START: Final = 2

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__name__.partition('.')[0]}.supervisor")


class WorkersFailed(RuntimeError):
    """The workers can't be kept running; ``code`` is the exit code to use."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Worker:
    """One worker, number 1 to N: its process, restarted when it ends."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self.admin_port = 0
        #: Set once its first process serves.
        self.serving = asyncio.Event()
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._channel: asyncio.StreamWriter | None = None
        self._draining = asyncio.Event()
        self._is_interrupt = False

    async def run(self) -> None:
        """Run and restart the process until drain() is called. Raises WorkersFailed."""
        loop = asyncio.get_running_loop()
        short_runs = 0
        while True:
            started = loop.time()
            code = await self._run_once()
            if self._draining.is_set():
                if code != 0:
                    raise WorkersFailed(f"worker {self.number} ended with {code} in the drain", 1)
                return
            if code == CANT_START and not self.serving.is_set():
                raise WorkersFailed(f"worker {self.number} can't start", CANT_START)
            short_runs = short_runs + 1 if loop.time() - started < MIN_UPTIME_SECONDS else 0
            if short_runs == MAX_SHORT_RUNS:
                raise WorkersFailed(
                    f"worker {self.number} ended {MAX_SHORT_RUNS} times in a row within"
                    f" {MIN_UPTIME_SECONDS:g} s of its start, the last time with {code}",
                    1,
                )
            delay = BACK_OFF_SECONDS * 2 ** max(0, short_runs - 1)
            log.error(
                "worker ended, starting another",
                extra={"worker": self.number, "code": code, "in_seconds": delay},
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._draining.wait()
                return

    async def _run_once(self) -> int:
        """Start a process and wait for its end. Return its exit code, negative after a signal."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    f"--channel={theirs.fileno()}",
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C in a terminal signals the whole process group; only this process is to
                    # receive it, and drains the workers.
                    start_new_session=True,
                )
            reader, self._channel = await asyncio.open_unix_connection(sock=ours)
        except OSError as error:  # out of processes or memory, which may pass
            ours.close()
            log.warning("worker can't be started", extra={"reason": str(error)})
            return os.EX_OSERR
        if self._draining.is_set():
            self._send_drain(self._channel)
        await self._watch(reader)
        code = await self._process.wait()
        self._channel.close()
        return code

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Read what the process says until it ends or has to drain. Kill it if it hangs.

        Silent beats are counted, not seconds: if this process was stopped too, for example while a
        laptop slept, one is missing at most.
        """
        silent = 0
        is_watched = False  # a process may take its time to start
        while True:
            line = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    line = await _line_of(reader)
            if line is None:
                silent += is_watched
                if silent * BEAT_SECONDS < HUNG_SECONDS:
                    continue
                log.error(
                    "worker hangs, killing it",
                    extra={"worker": self.number, "silent_seconds": silent * BEAT_SECONDS},
                )
                self.kill()
                return
            if not line:
                return
            silent = 0
            if not is_watched:
                is_watched = True
                self._note_serving(int(line))

    def _note_serving(self, admin_port: int) -> None:
        self.admin_port = admin_port
        if self.serving.is_set():
            log.info("worker serves again", extra={"worker": self.number, "admin_port": admin_port})
        self.serving.set()

    def drain(self, *, is_interrupt: bool) -> None:
        """Tell the process to drain and end, and start no other."""
        self._is_interrupt = is_interrupt
        self._draining.set()
        if self._channel is not None:
            self._send_drain(self._channel)

    def _send_drain(self, channel: asyncio.StreamWriter) -> None:
        if self._is_interrupt:
            channel.write(INTERRUPT)
        channel.close()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    """Return the line that a worker sends; b"" if it ends or has to drain before it sends one."""
    with contextlib.suppress(OSError):
        return await reader.readline()
    return b""
