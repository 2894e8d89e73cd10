"""Load by wrk: prepared requests in random order; an answer that refuses fails the measurement."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..frame.processes import BenchError, Cores
from .operations import Operation
from .servers import Server, program

CONNECTIONS: Final = 64
#: How much longer than asked wrk may take to read its requests, to connect and to end.
SLACK_SECONDS: Final = 30

#: The requests are one file, NUL between them: no request here holds one.
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
class Answered:
    requests: int
    seconds: float
    p99_seconds: float


class Load:
    """Sends operations from one core."""

    def __init__(self, directory: Path, cores: Cores) -> None:
        self._wrk = program("wrk", "wrk")
        self._cores = cores
        self._directory = directory
        self._script = directory / "load.lua"
        self._script.write_text(SCRIPT)

    def prepare(self, server: Server, operation: Operation) -> Path:
        """Write the requests down for wrk, and see that one of each few is answered as meant."""
        for wire in operation.requests[:: max(1, len(operation.requests) // 10)]:
            try:
                status, body = _ask(server.port, wire)
            except OSError as error:
                server.process.check_alive()
                raise BenchError(f"{server.name}: {operation.title}: {error}") from None
            if not 200 <= status < 300 or not operation.is_right(body):
                raise BenchError(
                    f"{server.name}: {operation.title}: the answer to {wire[:80]!r} is"
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
    ) -> Answered:
        """Keep every connection busy for that long; raise BenchError if a request failed.

        With ``pause_ms`` each waits about so long before each of its requests.
        """
        server.process.check_alive()
        command = ["taskset", "-c", ",".join(map(str, self._cores)), self._wrk]
        command += ["--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(self._script)]
        command += [f"http://127.0.0.1:{server.port}", "--", str(requests), str(pause_ms)]
        try:
            # An exception in here, an interrupt included, ends wrk.
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=seconds + SLACK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"wrk did not end on {requests.stem}") from None
        server.process.check_alive()
        found = SUMMARY.search(ended.stdout)
        if ended.returncode != 0 or found is None:
            raise BenchError(f"wrk failed on {requests.stem}: {ended.stdout}{ended.stderr}")
        answered, microseconds, p99_microseconds, *errors = map(int, found.groups())
        if any(errors):
            counts = [f"{n} {what}" for what, n in zip(ERRORS, errors, strict=True) if n]
            raise BenchError(f"{requests.stem}: {answered} answers, failures: {', '.join(counts)}")
        if answered == 0:
            raise BenchError(f"{requests.stem}: nothing was answered")
        return Answered(answered, microseconds / 1e6, p99_microseconds / 1e6)

    def run_together(
        self, asked: Sequence[tuple[Server, Path]], seconds: int, pause_ms: int = 0
    ) -> list[Answered]:
        """Run on all at the same time, so that whatever the machine does, it does to all of them.

        Those that share a core get it in turns of milliseconds.
        """
        with ThreadPoolExecutor(len(asked)) as threads:
            return list(
                threads.map(lambda each: self.run(each[0], each[1], seconds, pause_ms), asked)
            )


def _ask(port: int, wire: bytes) -> tuple[int, bytes]:
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)) as connection:
        connection.sendall(wire)
        with http.client.HTTPResponse(connection) as response:
            response.begin()
            return response.status, response.read()
