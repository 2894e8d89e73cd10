"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .catalogue import FAULTS

STORM: Final = "retry-storm"
PARTS: Final = (*FAULTS, STORM)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How long and how much of each; the fields' defaults are the full form."""

    before_seconds: float = 2.0
    fault_seconds: float = 3.0
    after_seconds: float = 4.0
    long_pause_seconds: float = 20.0
    idle_connections: int = 10_000
    #: Of each load that the storm is compared at.
    storm_seconds: float = 5.0
    only: tuple[str, ...] = PARTS


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description="Break things under load, and hold what clients were told against the store.",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        metavar="NAME",
        help=f"this fault alone; may be repeated: {', '.join(PARTS)}",
    )
    parser.add_argument("--quick", action="store_true", help="shorter and fewer of everything")
    arguments = parser.parse_args(argv)
    only = tuple(arguments.only or PARTS)
    if not arguments.quick:
        return Options(only=only)
    return Options(
        before_seconds=1.0,
        fault_seconds=1.5,
        after_seconds=3.0,
        long_pause_seconds=5.0,
        idle_connections=2_000,
        storm_seconds=2.0,
        only=only,
    )
