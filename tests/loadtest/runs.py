"""A load test in a process of its own, because gevent would patch the process of pytest."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.reports.releases import AnswerKind

ROOT: Final = Path(__file__).parents[2]
#: For a run of some seconds on a busy machine, including its start and its end.
RUN_SECONDS: Final = 180.0
STOP_SECONDS: Final = 90.0


@dataclass(frozen=True)
class Outcome:
    """How a load test ended, what it printed, and what it wrote."""

    code: int
    output: str
    directory: Path

    @property
    def answers(self) -> dict[AnswerKind, int]:
        return {
            AnswerKind(row["method"], row["route"], int(row["status"])): int(row["requests"])
            for row in self._rows("answers")
        }

    @property
    def versions(self) -> dict[tuple[str, str], dict[str, str]]:
        return {(row["version"], row["track"]): row for row in self._rows("versions")}

    @property
    def requests(self) -> dict[str, int]:
        """Return Locust's own counts by "METHOD route"."""
        return {
            f"{row['method']} {row['route']}": int(row["requests"]) for row in self._rows("routes")
        }

    @property
    def mean_seconds(self) -> float:
        rows = self._rows("routes")
        total = sum(float(row["mean ms"]) * int(row["requests"]) for row in rows)
        return total / sum(int(row["requests"]) for row in rows) / 1000

    @property
    def failures(self) -> set[str]:
        return {row["error"] for row in self._rows("failures")}

    @property
    def wrong(self) -> int:
        return sum(int(row["wrong"]) for row in self.versions.values())

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (self.directory / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))


async def run_load(directory: Path, *arguments: str) -> Outcome:
    """Run ``python -m loadtest.load`` to its end."""
    async with started_load(directory, *arguments) as process:
        return await finish(process, directory)


@contextlib.asynccontextmanager
async def started_load(
    directory: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start it, and terminate it when the block ends."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KV_", "LOCUST_", "LOAD_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "loadtest.load", "--out", str(directory), *arguments),
        cwd=ROOT,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()
                raise


async def finish(process: asyncio.subprocess.Process, directory: Path) -> Outcome:
    async with asyncio.timeout(RUN_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode(), directory)


def thresholds(directory: Path, text: str = "") -> tuple[str, str]:
    """Return arguments for a file with these thresholds alone: a busy machine keeps no times."""
    file = directory / "thresholds.toml"
    file.write_text(text)
    return ("--thresholds", str(file))
