"""``python -m bench.routing``: tests of routes are quick and sure, and ``diff`` misses nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.frame.errors import BenchError
from bench.frame.processes import ROOT
from bench.frame.program import Program, Run, run
from bench.frame.rows import Row
from rollout.probing.callers import view_pairs
from rollout.probing.comparison import confirm
from rollout.probing.comparison_text import groups_of, witness_line
from rollout.probing.mesh import Mesh
from rollout.routing.candidates import find_candidates
from rollout.routing.sample_sizes import accepted, bounds_for

from .completeness import Outcome, compare_pairs
from .limits import FIFTY_SECONDS, FIVE_HUNDRED_SECONDS, LARGE_SECONDS, NONE, ONE_LINE, SURE
from .measured_weights import measure_weights
from .migrations import MIGRATIONS
from .workload import assertions, many, routes, text_of

_GIVEN = ("istio/gateway", "istio/canary/1-workloads", "istio/canary/2-subsets")
_SHOWN = 10


@dataclass(frozen=True)
class Sizes:
    """``pairs`` of configurations in batches of ``batch``, with random ``requests`` to each."""

    pairs: int = 2000
    batch: int = 40
    requests: int = 30
    #: Tests of a weight on Envoy.
    weights: int = 200
    services: int = 300


def measure_tests(part: Run[Sizes]) -> Iterator[Row]:
    for count, limit in ((50, FIFTY_SECONDS), (500, FIVE_HUNDRED_SECONDS)):
        folder = part.directory / str(count)
        folder.mkdir()
        (folder / "manifests.yaml").write_text(text_of(routes(count)))
        (folder / "routes.test.yaml").write_text(assertions(count))
        seconds, output = _timed(0, "test", folder)
        summary = output.splitlines()[1].strip()
        if not summary.startswith(f"{count} of {count} assertions hold"):
            raise BenchError(summary)
        yield Row(f"test of {count} assertions", seconds, "s", limit, summary)


def measure_sureness(part: Run[Sizes]) -> Iterator[Row]:
    bounds = bounds_for(90.0)
    note = f"{bounds.requests} requests, {bounds.least} to {bounds.most} at the first"
    passed, failed = 100 * accepted(bounds, 0.9), 100 * (1 - accepted(bounds, 0.8))
    yield Row("90/10 passes at 90/10, exactly", passed, "%", SURE, note)
    yield Row("90/10 fails at 80/20, exactly", failed, "%", SURE, note)
    at_right, at_wrong = asyncio.run(measure_weights(part.sizes.weights))
    count = part.sizes.weights
    yield Row("90/10 refused at 90/10, on Envoy", count - at_right, f"of {count}")
    yield Row("90/10 accepted at 80/20, on Envoy", at_wrong, f"of {count}")


def measure_pairs(part: Run[Sizes]) -> Iterator[Row]:
    sizes, total = part.sizes, Outcome()
    started = time.perf_counter()
    for first in range(0, sizes.pairs, sizes.batch):
        seeds = range(first, min(first + sizes.batch, sizes.pairs))
        total = total.plus(asyncio.run(compare_pairs(seeds, sizes.requests)))
    for each in (*total.missing[:_SHOWN], *total.false[:_SHOWN]):
        print(f"  {each}", file=sys.stderr)
    seconds = time.perf_counter() - started
    note = f"{total.classes:,} pairs of routes compared in {seconds:,.0f} s"
    yield Row("pairs of configurations", total.pairs, "", None, note)
    yield Row("pairs that differ", total.changed, "", None)
    yield Row("classes that differ, each with a witness", total.differences, "", None)
    note = f"of {total.random_differences:,}, by {total.random_requests:,} random requests"
    yield Row("changed classes without a witness", len(total.missing), "", NONE, note)
    yield Row("witnesses that another Envoy treats alike", len(total.false), "", NONE)


def measure_own(_: Run[Sizes]) -> Iterator[Row]:
    given = [word for each in _GIVEN for word in ("--given", each)]
    steps = (f"istio/canary/steps/{each}" for each in ("10", "25"))
    seconds, output = _timed(1, "diff", *steps, *given)
    lines = output.splitlines()
    yield Row("lines of diff, canary at 10 and 25", len(lines), "", ONE_LINE, lines[0])
    yield Row("its time, kustomize included", seconds, "s")


def measure_migrations(_: Run[Sizes]) -> Iterator[Row]:
    found = [find_candidates(view_pairs(*map(Mesh, each.sides))) for each in MIGRATIONS]
    confirmed = asyncio.run(confirm(found))
    wrong = 0
    for migration, differences in zip(MIGRATIONS, confirmed, strict=True):
        lines = tuple(witness_line(each) for each in groups_of(differences))
        wrong += lines != migration.differences
        yield Row(migration.name, len(lines), "differences", None, "; ".join(lines))
    yield Row("migrations that do not show what they should", wrong, "", NONE)


def measure_large(part: Run[Sizes]) -> Iterator[Row]:
    sides = many(part.sizes.services)
    files = [part.directory / name for name in ("old.yaml", "new.yaml")]
    for file, documents in zip(files, sides, strict=True):
        file.write_text(text_of(documents))
    seconds, output = _timed(1, "diff", *files)
    title = f"{part.sizes.services} VirtualServices, one rule moved"
    yield Row(title, seconds, "s", LARGE_SECONDS, output.splitlines()[0])


def _timed(expected: int, *words: str | Path) -> tuple[float, str]:
    """Run ``tallykv-rollout``; return its time and output, or raise BenchError."""
    started = time.perf_counter()
    command: Sequence[str] = [sys.executable, "-m", "rollout", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        raise BenchError(f"exit code {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return time.perf_counter() - started, done.stdout


PROGRAM = Program(
    name="routing",
    description="Test routes, and compare configurations, on a real Envoy.",
    parts={
        "tests": measure_tests,
        "weights": measure_sureness,
        "pairs": measure_pairs,
        "own": measure_own,
        "migrations": measure_migrations,
        "large": measure_large,
    },
    sizes=Sizes(),
    quick=Sizes(pairs=40, weights=20, services=50),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
