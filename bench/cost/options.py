"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

COSTS: Final = ("get", "put", "hot", "spread", "batch-get", "batch-add")
PARTS: Final = (*COSTS, "tax", "ready", "memory", "listing")


@dataclass(frozen=True, kw_only=True)
class Options:
    rounds: int = 3
    seconds: int = 3
    requests: int = 1_000_000
    entries: int = 1_000_000
    only: frozenset[str] = frozenset(PARTS)


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost",
        description="CPU time per request beside other services, held to limits.",
    )
    parser.add_argument("--rounds", type=_positive, help="rounds; medians are shown [3]")
    parser.add_argument(
        "--seconds", type=_positive, help="seconds measured of each operation in a round [3]"
    )
    parser.add_argument(
        "--requests", type=_positive, help="requests before memory is read [1000000]"
    )
    parser.add_argument("--entries", type=_positive, help="entries of the long listing [1000000]")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this alone; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="1 round, 1 s, 20000 requests, 100000 entries"
    )
    arguments = vars(parser.parse_args(argv))
    only = arguments.pop("only")
    chosen = {"rounds": 1, "seconds": 1, "requests": 20_000, "entries": 100_000}
    if not arguments.pop("quick"):
        chosen = {}
    chosen.update({name: value for name, value in arguments.items() if value is not None})
    return Options(**chosen, only=frozenset(only or PARTS))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number
