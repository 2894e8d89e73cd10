"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    #: Of watching; as much as a third of it goes before to warm up.
    minutes: float = 10.0


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Steady traffic for a while: nothing of the service may grow.",
    )
    parser.add_argument(
        "--minutes", type=_minutes, default=Options.minutes, help="how long; at least 0.2 (10)"
    )
    return Options(minutes=parser.parse_args(argv).minutes)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not minutes >= 0.2:
        raise ValueError(text)
    return minutes
