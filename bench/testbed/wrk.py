"""Closed-loop load by wrk: prepared requests in random order. Every answer must be a success."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bench.frame.cores import Cores
from bench.frame.errors import BenchError
from bench.frame.processes import Server, find_program

from .http_client import exchange
from .operations import Operation

Subject = TypeVar("Subject")

CONNECTIONS: Final = 64
#: The additional time that wrk may take to read its requests, to connect and to end.
SLACK_SECONDS: Final = 30

#: All requests are in one file, separated by NUL, which no request contains.
SCRIPT: Final = r"""
local requests, random = {}, math.random

function init(arguments)
  math.randomseed(1)
  local file = assert(io.open(arguments[1], "rb"))
  for each in file:read("*a"):gmatch("%Z+") do
    requests[#requests + 1] = each
  end
  file:close()
  count = #requests
  local pause = tonumber(arguments[2])
  if pause > 0 then
    delay = function() return random(0, 2 * pause) end
  end
end

function request()
  return requests[random(count)]
end

function done(summary, latency, rates)
  local e = summary.errors
  print(string.format("summary %d %d %d errors %d %d %d %d %d",
    summary.requests, summary.duration, latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""
SUMMARY: Final = re.compile(
    r"^summary (\d+) (\d+) (\d+) errors (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE
)
ERRORS: Final = ("connecting", "reading", "writing", "time-outs", "answers neither 2xx nor 3xx")


@dataclass(frozen=True)
class LoadResult:
    """A load of one server for some seconds."""

    requests: int
    seconds: float
    p99_ms: float
    #: Of the server, by process: the first is its own, the others are those of its descendants.
    cpu_seconds: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of the server for each request."""
        return sum(self.cpu_seconds) / self.requests * 1e6


class Load:
    """wrk on the given cores."""

    def __init__(self, directory: Path, cores: Cores) -> None:
        self._wrk = find_program("wrk")
        self._cores = cores
        self._directory = directory
        self._script = directory / "load.lua"
        self._script.write_text(SCRIPT)

    def prepare(self, server: Server, operation: Operation) -> Path:
        """Write the requests to a file for wrk; raise BenchError if a sampled answer is wrong."""
        for request in operation.requests[:: max(1, len(operation.requests) // 10)]:
            try:
                status, body = exchange(server.port, request)
            except OSError as error:
                server.check_alive()
                raise BenchError(f"{server.name}: {operation.title}: {error}") from None
            if not 200 <= status < 300 or not operation.is_right(body):
                raise BenchError(
                    f"{server.name}: {operation.title}: the answer to {request[:80]!r} is"
                    f" {status} {body[:300]!r}"
                )
        path = self._directory / f"{server.name}-{operation.name}.requests"
        path.write_bytes(b"\0".join(operation.requests))
        return path

    def run(
        self,
        server: Server,
        requests: Path,
        seconds: int,
        pause_ms: int = 0,
        connections: int = CONNECTIONS,
    ) -> LoadResult:
        """Keep every connection busy for ``seconds``; raise BenchError if a request failed.

        Each connection waits ``pause_ms`` on average before each of its requests.
        """
        server.check_alive()
        before = server.cpu_seconds_by_process()
        command = ["taskset", "-c", ",".join(map(str, self._cores)), self._wrk]
        command += ["--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(self._script)]
        command += [f"http://127.0.0.1:{server.port}", "--", str(requests), str(pause_ms)]
        try:
            # subprocess.run ends wrk when an exception, such as an interrupt, passes through.
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=seconds + SLACK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"wrk did not end on {requests.stem}") from None
        server.check_alive()
        after = server.cpu_seconds_by_process()
        found = SUMMARY.search(ended.stdout)
        if ended.returncode != 0 or found is None:
            raise BenchError(f"wrk failed on {requests.stem}: {ended.stdout}{ended.stderr}")
        answered, microseconds, p99_microseconds, *errors = map(int, found.groups())
        if any(errors):
            counts = [f"{n} {what}" for what, n in zip(ERRORS, errors, strict=True) if n]
            raise BenchError(f"{requests.stem}: {answered} answers, failures: {', '.join(counts)}")
        if answered == 0:
            raise BenchError(f"{requests.stem}: nothing was answered")
        used = tuple(after[pid] - before[pid] for pid in after if pid in before)
        return LoadResult(answered, microseconds / 1e6, p99_microseconds / 1e3, used)

    def run_together(
        self, servers: Sequence[Server], requests: Path, seconds: int, pause_ms: int = 0
    ) -> list[LoadResult]:
        """Load all servers at the same time, so that a stall of the machine slows all of them."""
        with ThreadPoolExecutor(len(servers)) as threads:
            return list(
                threads.map(lambda each: self.run(each, requests, seconds, pause_ms), servers)
            )


def interleave(subjects: Sequence[Subject], rounds: int) -> Iterator[Subject]:
    """Yield all subjects in each round, in alternating order.

    A busy moment of the machine then affects all of them.
    """
    for number in range(rounds):
        yield from subjects if number % 2 == 0 else subjects[::-1]
