"""A program of parts: its command line, its run from start to exit code, and its JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any, Final, Generic, TypeVar

from .chart import Chart, draw_chart
from .cores import QUIET, Cores, available_cores, busy_ratio, leave_server_core
from .errors import BenchError, Interrupted, Unavailable, unwind_on_signals
from .processes import ROOT
from .rows import Row, render_table

Sizes = TypeVar("Sizes")

BUILD: Final = ROOT / "build"
#: How long the machine is watched before each part.
WATCH_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Run(Generic[Sizes]):
    """What a part is given: how much to measure, cores, and an empty directory of its own."""

    sizes: Sizes
    directory: Path
    cores: Cores

    @property
    def server_cores(self) -> Cores:
        return self.cores[:1]

    @property
    def load_cores(self) -> Cores:
        """Return the core for everything but the server: load, Redis, collector."""
        return self.cores[1:2]


Part = Callable[[Run[Sizes]], Iterable[Row]]


@dataclass(frozen=True)
class Option:
    """A further option ``--name``. It sets the field of the sizes that has the same name.

    ``parse`` raises ValueError for a bad value. A repeatable option sets a tuple of values.
    """

    name: str
    parse: Callable[[str], object]
    help: str
    metavar: str | None = None
    is_repeatable: bool = False


@dataclass(frozen=True, kw_only=True)
class Program(Generic[Sizes]):
    """A bench: ``python -m bench.<name>``. ``sizes`` and ``quick`` say how much it measures."""

    name: str
    description: str
    parts: Mapping[str, Part[Sizes]]
    sizes: Sizes
    quick: Sizes
    options: Sequence[Option] = ()
    #: Whether CPU time is compared, so that the server needs a core of its own.
    needs_own_core: bool = False
    #: Drawn to ``build/<name>.png``.
    chart: Chart | None = None


@dataclass(frozen=True)
class Arguments(Generic[Sizes]):
    only: tuple[str, ...]
    sizes: Sizes
    output: Path
    is_quick: bool


@dataclass
class Results:
    """What a run found, part by part."""

    program: str
    arguments: Mapping[str, Any]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    is_interrupted: bool = False

    def titles(self, verdict: str) -> list[str]:
        """Return the titles of the rows with this verdict, and their parts."""
        return [
            f"{name}: {row.title}"
            for name, rows in self.rows.items()
            for row in rows
            if row.verdict == verdict
        ]

    @property
    def exit_code(self) -> int:
        """Return 0, 1 where a limit is broken, 2 where a part could not be measured."""
        failed = any(part["status"] == "failed" for part in self.parts.values())
        return 2 if failed or self.is_interrupted else 1 if self.titles("FAIL") else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "started": self.started.isoformat(timespec="seconds"),
            "arguments": self.arguments,
            "machine": {
                "cores": os.cpu_count(),
                "system": platform.platform(),
                "python": platform.python_version(),
            },
            "parts": self.parts,
            "rows": [
                {"part": name, **row.to_json()} for name, rows in self.rows.items() for row in rows
            ],
        }


def say(text: str) -> None:
    """Report progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def parse_arguments(program: Program[Sizes], argv: Sequence[str] | None = None) -> Arguments[Sizes]:
    """Read the command line; exit with 2 and a message if it is wrong."""
    names = ", ".join(program.parts)

    def parse_only(text: str) -> list[str]:
        if unknown := [name for name in text.split(",") if name not in program.parts]:
            message = f"there is no part {', '.join(map(repr, unknown))}; the parts are: {names}"
            raise argparse.ArgumentTypeError(message)
        return text.split(",")

    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{program.name}",
        description=f"{program.description} Exit code: 0 if no limit is broken, 1 if one is"
        " (by more than the noise, where it is measured), 2 if something could not be measured.",
    )
    parser.add_argument(
        "--only",
        type=parse_only,
        action="extend",
        metavar="A,B",
        help=f"measure these parts alone: {names}",
    )
    parser.add_argument("--quick", action="store_true", help="measure less of everything")
    parser.add_argument(
        "--output",
        type=Path,
        default=BUILD / f"{program.name}.json",
        metavar="FILE",
        help=f"JSON file for the results [build/{program.name}.json]",
    )
    for option in program.options:
        parser.add_argument(
            f"--{option.name}",
            type=option.parse,
            help=option.help,
            metavar=option.metavar,
            action="append" if option.is_repeatable else "store",
        )
    arguments = vars(parser.parse_args(argv))
    sizes: Any = program.quick if arguments["quick"] else program.sizes
    for option in program.options:
        field_name = option.name.replace("-", "_")
        if (value := arguments[field_name]) is not None:
            chosen = tuple(value) if option.is_repeatable else value
            sizes = replace(sizes, **{field_name: chosen})
    only = arguments["only"] or list(program.parts)
    in_order = tuple(name for name in program.parts if name in only)
    return Arguments(in_order, sizes, arguments["output"], arguments["quick"])


def run(program: Program[Sizes], argv: Sequence[str] | None = None) -> int:
    """Measure the parts, print their tables, write the JSON file; return the exit code."""
    arguments = parse_arguments(program, argv)
    unwind_on_signals()
    shown = {"only": arguments.only, "quick": arguments.is_quick, "sizes": vars(arguments.sizes)}
    results = Results(program.name, shown)
    try:
        cores = available_cores()
        if program.needs_own_core:
            leave_server_core(cores)
        for name in arguments.only:
            with tempfile.TemporaryDirectory(prefix=f"bench-{program.name}-") as directory:
                context = Run(arguments.sizes, Path(directory), cores)
                _measure(results, name, program.parts[name], context)
    except (BenchError, Interrupted) as error:
        say(f"{program.name}: {error}")
        results.is_interrupted = True
    _write(arguments.output, results)
    if program.chart is not None:
        draw_chart(program.chart, results.rows, BUILD / f"{program.name}.png")
    _summarize(results)
    return results.exit_code


def _measure(results: Results, name: str, part: Part[Sizes], context: Run[Sizes]) -> None:
    """Measure one part and print its table. A part that fails does not end the run."""
    found: dict[str, Any] = {"busy_before": round(busy_ratio(context.cores, WATCH_SECONDS), 3)}
    results.parts[name] = found
    say(f"{results.program}: {name}")
    started = time.monotonic()
    try:
        rows = list(part(context))
    except (BenchError, OSError) as error:
        say(f"{results.program}: {name}: {error}")
        found |= {"status": "failed", "reason": str(error)}
    except Unavailable as error:
        say(f"{results.program}: {name}: skipped: {error}")
        found |= {"status": "skipped", "reason": str(error)}
    except Interrupted as error:
        found |= {"status": "failed", "reason": str(error)}
        raise
    else:
        found["status"] = "measured"
        results.rows[name] = rows
        print(render_table(name, rows), end="\n\n", flush=True)
    found["seconds"] = round(time.monotonic() - started, 1)


def _write(file: Path, results: Results) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results.to_json(), indent=2, ensure_ascii=False) + "\n")
    say(f"results: {file}")


def _summarize(results: Results) -> None:
    busy = [part["busy_before"] for part in results.parts.values()]
    if busy and mean(busy) > QUIET:
        print(f"Other programs kept the cores {mean(busy):.0%} busy: times are inexact.")
    for title in results.titles("within noise"):
        print(f"missed by less than the noise: {title}")
    for title in results.titles("FAIL"):
        print(f"limit broken: {title}")
