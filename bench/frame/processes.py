"""Servers as child processes on chosen cores: started, measured, signalled, and always ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from rollout.rehearsal.loopback import Ports

from .cores import Cores
from .errors import BenchError

ROOT: Final = Path(__file__).parents[2]
READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.01
STOP_SECONDS: Final = 5.0
AnyServer = TypeVar("AnyServer", bound="Server")
#: Below the ports that the kernel gives to clients, and those that rehearsals choose from.
PORTS: Final = Ports(range(5_000, 10_000), 64)


class Server:
    """A child process that serves a port of loopback. It can be started again after its end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        cores: Cores = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.port = port
        self._cores = cores
        self._environ = environ or {}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise BenchError(f"{self.name} does not run")
        return self._popen.pid

    def start(self) -> None:
        """Start it. Do not wait until it is ready."""
        pin = ["taskset", "-c", ",".join(map(str, self._cores))] if self._cores else []
        # A service's settings in the caller's shell would change what is measured.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KV_", "OTEL_"))}
        self._popen = subprocess.Popen(
            [*pin, *self.command],
            cwd=ROOT,
            env={**inherited, **self._environ},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            # Ctrl-C in a terminal reaches the bench alone, which then ends its children.
            start_new_session=True,
        )

    def is_ready(self) -> bool:
        """Return True if it serves. By default that is if it accepts connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def start_ready(self) -> None:
        """Start it and wait until it is ready; raise BenchError."""
        self.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it is ready; raise BenchError."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} is not ready after {READY_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def output(self) -> bytes:
        """Return all that it wrote to stdout and stderr."""
        number = self._output.fileno()
        return os.pread(number, os.fstat(number).st_size, 0)

    def is_alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def check_alive(self) -> None:
        """Raise BenchError with the end of its output if it has ended."""
        if not self.is_alive():
            size = os.fstat(self._output.fileno()).st_size
            output = os.pread(self._output.fileno(), 2000, max(0, size - 2000))
            raise BenchError(f"{self.name} has ended: {output.decode('utf-8', 'replace')}")

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and its descendants, user and system."""
        return sum(self.cpu_seconds_by_process().values())

    def cpu_seconds_by_process(self) -> dict[int, float]:
        """Return the CPU time by process id: its own first, then those of its descendants."""
        return {pid: _cpu_seconds(pid) for pid in (self.pid, *descendants(self.pid))}

    def resident_mib(self) -> float:
        """Return VmRSS of the process and its descendants."""
        pids = (self.pid, *descendants(self.pid))
        return sum(int(_status(pid)["VmRSS"].split()[0]) for pid in pids) / 1024

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process (SIGSTOP) until the block ends."""
        self.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    def wait_for_end(self) -> None:
        """Wait until it has ended; raise BenchError."""
        if self._popen is not None:
            try:
                self._popen.wait(READY_SECONDS)
            except subprocess.TimeoutExpired:
                raise BenchError(f"{self.name} does not end") from None

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def stop(self) -> None:
        """End the process (SIGTERM, then SIGKILL) and its process group, for good."""
        if self._popen is not None and self.is_alive():
            self._popen.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            ended = os.WEXITED | os.WNOWAIT | os.WNOHANG
            while not os.waitid(os.P_PID, self.pid, ended) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            # Until wait() no other process group can have this id.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
        self._output.close()


@contextlib.contextmanager
def running(server: AnyServer) -> Iterator[AnyServer]:
    """Run the server until the block ends."""
    with running_all([server]):
        yield server


@contextlib.contextmanager
def running_all(servers: Sequence[Server]) -> Iterator[None]:
    """Run the servers until the block ends."""
    try:
        for each in servers:
            each.start()
        for each in servers:
            each.wait_until_ready()
        yield
    finally:
        for each in servers:
            each.stop()


def find_program(name: str) -> str:
    """Return the path of a program; raise BenchError with the package to install."""
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"{name} is not installed (Debian: apt-get install {name})")
    return found


def free_port() -> int:
    """Return a port of loopback that is free now, and that no process here chose lately."""
    return PORTS.choose()


def descendants(pid: int) -> list[int]:
    """Return the ids of the processes that this one started, and of those that they started."""
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
    # The CPU clock of a process, as clock_getcpuclockid(3) computes its id. It counts nanoseconds,
    # where /proc/PID/stat counts ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
