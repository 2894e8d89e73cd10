"""``python -m bench.lint``: what lint costs, whether it grows linearly, and how soon it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.frame.errors import BenchError
from bench.frame.processes import ROOT
from bench.frame.program import Program, Run, run
from bench.frame.rows import Row

from .limits import GROWTH, LINT_MIB, LINT_SECONDS, START_SECONDS
from .manifests import OBJECTS_OF_APPLICATION, write_manifests


@dataclass(frozen=True)
class Sizes:
    """``applications`` are linted, and a fifth of them; of ``rounds`` the cheapest counts."""

    applications: int = 1000
    rounds: int = 3


@dataclass(frozen=True)
class Cost:
    """CPU seconds, of the user and of the system, and the largest resident memory."""

    seconds: float
    mib: float


def measure(*arguments: str | Path) -> Cost:
    """Run ``tallykv-rollout`` and return its cost; raise BenchError if it fails."""
    command = [sys.executable, "-m", "rollout", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"{' '.join(command)} ended with exit code {process.returncode}")
    # Linux reports KiB.
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def cheapest(rounds: int, *arguments: str | Path) -> Cost:
    costs = [measure(*arguments) for _ in range(rounds)]
    return min(costs, key=lambda cost: cost.seconds)


def measure_growth(part: Run[Sizes]) -> Iterator[Row]:
    sizes = part.sizes
    few = max(1, sizes.applications // 5)
    costs = {}
    for applications in (few, few * 5):
        path = part.directory / f"{applications}.yaml"
        write_manifests(path, applications)
        costs[applications] = cost = cheapest(sizes.rounds, "lint", path)
        title = f"lint of {applications * OBJECTS_OF_APPLICATION:,} objects"
        yield Row(f"{title}, CPU", cost.seconds, "s", LINT_SECONDS)
        yield Row(f"{title}, memory", cost.mib, "MiB", LINT_MIB)
    start = cheapest(sizes.rounds, "lint", _empty(part.directory)).seconds
    net = {count: cost.seconds - start for count, cost in costs.items()}
    yield Row("five times the objects", net[few * 5] / (5 * net[few]), "of linear", GROWTH)


def measure_start(part: Run[Sizes]) -> Iterator[Row]:
    rounds = part.sizes.rounds
    yield Row("--help, CPU", cheapest(rounds, "--help").seconds, "s", START_SECONDS)
    empty = cheapest(rounds, "lint", _empty(part.directory))
    yield Row("lint of nothing, CPU", empty.seconds, "s", START_SECONDS)


def _empty(directory: Path) -> Path:
    path = directory / "empty.yaml"
    path.write_text("")
    return path


PROGRAM = Program(
    name="lint",
    description="Lint manifests of many applications.",
    parts={"growth": measure_growth, "start": measure_start},
    sizes=Sizes(),
    quick=Sizes(applications=100, rounds=1),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
