"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PARTS: Final = ("innocent", "skew", "harm", "regression", "promotion", "slow", "outage", "counters")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much of each; the fields' defaults are the full form."""

    seed: int = 20220815
    #: Rollouts of each cell of innocent releases, and the longest of them.
    innocent: int = 2_000
    innocent_seconds: float = 3600.0
    #: Whether each cell is held to the limit by itself, or only all of them together.
    cell_by_cell: bool = True
    #: Rollouts of everything else.
    each: int = 600
    outages: int = 200
    workers: int = 2
    only: frozenset[str] = frozenset(PARTS)


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.evidence",
        description="How often the evidence errs and how soon it tells, in simulated rollouts.",
    )
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="simulate this alone; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=Options.seed, help="of all chance")
    parser.add_argument("--workers", type=int, default=Options.workers, help="processes")
    parser.add_argument("--quick", action="store_true", help="fewer of everything: half a minute")
    arguments = parser.parse_args(argv)
    only = frozenset(arguments.only or PARTS)
    if not arguments.quick:
        return Options(seed=arguments.seed, workers=arguments.workers, only=only)
    return Options(
        seed=arguments.seed,
        workers=arguments.workers,
        only=only,
        innocent=100,
        innocent_seconds=900.0,
        cell_by_cell=False,
        each=200,
    )
