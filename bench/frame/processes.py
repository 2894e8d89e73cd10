"""Processes on chosen cores: started, measured, and ended by their ids whatever happens."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
STOP_SECONDS: Final = 5.0
PORTS: Final = (20_000, 32_000)

Cores = tuple[int, ...]


class BenchError(RuntimeError):
    """A measurement can't be made; the message says why."""


class Process:
    """A process that runs; what it prints goes to a file."""

    def __init__(self, popen: subprocess.Popen[bytes], output: Path) -> None:
        self._popen = popen
        self._output = output
        self.pid = popen.pid

    def check_alive(self) -> None:
        """Raise BenchError, with its last words, when it has ended."""
        code = self._popen.poll()
        if code is not None:
            words = self._output.read_bytes()[-2000:].decode("utf-8", "replace")
            raise BenchError(f"{self._popen.args!r} ended with {code}: {words}")

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def cpu_seconds(self) -> float:
        """Return what it and its descendants used, user and system, all threads."""
        return sum(self.cpu_seconds_by_process().values())

    def cpu_seconds_by_process(self) -> dict[int, float]:
        """Return the same by process id: its own first, then those of its descendants."""
        return {pid: _cpu_seconds(pid) for pid in (self.pid, *descendants(self.pid))}

    def resident_mib(self) -> float:
        """Return VmRSS of it and its descendants."""
        pids = (self.pid, *descendants(self.pid))
        return sum(int(_status(pid)["VmRSS"].split()[0]) for pid in pids) / 1024

    def stop(self) -> None:
        """End it and all it started."""
        # A handle names one process for good, an id may be given again once its owner is gone.
        handles = []
        for pid in descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))
        try:
            self._popen.terminate()
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            for handle in handles:
                os.close(handle)


@contextlib.contextmanager
def running(
    command: Sequence[str], cores: Cores, environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run the command on these cores until the block ends."""
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log") as output:
        popen = subprocess.Popen(
            pinned,
            cwd=ROOT,
            env={**_inherited(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in a terminal reaches the bench alone, which then ends what it started.
            start_new_session=True,
        )
        process = Process(popen, Path(output.name))
        try:
            yield process
        finally:
            process.stop()


def _inherited() -> dict[str, str]:
    # A service's settings in the caller's shell would change what is measured.
    return {k: v for k, v in os.environ.items() if not k.startswith(("KV_", "OTEL_"))}


def free_port() -> int:
    """Return a port that nobody uses, below those that the kernel gives to clients."""
    while True:
        port = random.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def wait_until_listening(process: Process, port: int, seconds: float = 15.0) -> None:
    give_up = time.monotonic() + seconds
    while True:
        process.check_alive()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > give_up:
            raise BenchError(f"nothing listens on port {port} after {seconds:.0f} s")
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Return the processes that this one started, and those that they started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, KeyError):
                parent = int(_status(int(entry.name))["PPid"])
                children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, ()))
    for each in found:  # grows while it is walked
        found += children.get(each, ())
    return found


def _cpu_seconds(pid: int) -> float:
    # The process's CPU clock, as clock_getcpuclockid(3) names it: the user and system time of
    # /proc/PID/stat, in nanoseconds instead of ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
