"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PARTS: Final = ("workers", "keys", "sizes", "connections")


@dataclass(frozen=True, kw_only=True)
class Options:
    """``rounds`` turns of ``seconds`` at each point; ``keys`` is the most of them."""

    rounds: int = 5
    seconds: int = 2
    keys: int = 1_000_000
    only: frozenset[str] = frozenset(PARTS)


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description="Throughput, p99 and CPU time by workers, keys, value size and connections.",
    )
    parser.add_argument("--rounds", type=_positive, help="turns at each point [5]")
    parser.add_argument("--seconds", type=_positive, help="length of a turn [2]")
    parser.add_argument("--keys", type=_positive, help="entries in the largest store [1000000]")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this alone; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="2 turns of 1 s, 100000 keys")
    arguments = vars(parser.parse_args(argv))
    only = arguments.pop("only")
    chosen = {"rounds": 2, "seconds": 1, "keys": 100_000} if arguments.pop("quick") else {}
    chosen.update({name: value for name, value in arguments.items() if value is not None})
    return Options(**chosen, only=frozenset(only or PARTS))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number
