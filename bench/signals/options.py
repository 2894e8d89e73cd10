"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PARTS: Final = ("gate", "cardinality", "stopping", "black-hole", "loop-block")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much of each; the fields' defaults are the full measurement."""

    #: Requests without a parent, and as many with one that is none.
    undecided: int = 160_000
    #: Requests with each pair of flags that decide.
    decided: int = 10_000
    #: Scrapes watched for what they do to the loop.
    scrapes: int = 60
    #: Seconds of 200 requests a second before SIGTERM.
    before_stop_seconds: int = 5
    #: Windows in which a service with a collector that hangs is asked beside a healthy one.
    windows: int = 30
    window_seconds: int = 2
    blocks: int = 10
    only: frozenset[str] = frozenset(PARTS)


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.signals",
        description="What the signals say and cost, from real runs, held to limits.",
    )
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this alone; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="fewer of everything: 1.5 minutes")
    arguments = parser.parse_args(argv)
    only = frozenset(arguments.only or PARTS)
    if not arguments.quick:
        return Options(only=only)
    return Options(
        undecided=50_000,
        decided=5_000,
        scrapes=20,
        before_stop_seconds=2,
        windows=5,
        only=only,
    )
