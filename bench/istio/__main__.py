"""Compares rollout/envoy with istiod: the table of facts compared, and every difference."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.frame.processes import ROOT

from .cases import read_cases, write_packed
from .comparison import Comparison
from .judgement import judge

#: The directory of the cases.
VARIABLE = "TALLYKV_CASES"


#: The cases that the tests carry: all but the samples of others.
PACKED = ROOT / "tests/rollout/envoy/istiod_cases.jsonl.xz"


def default_directory() -> Path:
    """Return what the environment variable names, a directory beside the repository, or PACKED."""
    named = os.environ.get(VARIABLE)
    beside = ROOT.parent / "shared/cases/istiod"
    return Path(named) if named else beside if beside.is_dir() else PACKED


def main(argv: list[str] | None = None) -> int:
    """Compare all cases; return 1 if a fact differs, 2 without any case."""
    parser = argparse.ArgumentParser(prog="python -m bench.istio", description=__doc__)
    parser.add_argument(
        "cases",
        nargs="?",
        type=Path,
        default=default_directory(),
        help=f"directory of cases, or a packed file [${VARIABLE}, or those of the tests]",
    )
    parser.add_argument("--pack", type=Path, metavar="FILE", help="only write the cases to a file")
    arguments = parser.parse_args(argv)
    if arguments.pack:
        write_packed(read_cases(arguments.cases), arguments.pack)
        return 0
    groups: dict[str, list[Comparison]] = {}
    for case in read_cases(arguments.cases):
        found = judge(case)
        groups.setdefault(case.group, []).append(found)
        for each in found.different:
            print(f"{case.name}: {each}")
        for each in found.not_modelled:
            print(f"{case.name}: not modelled: {each}")
    if not groups:
        print(f"no cases in {arguments.cases}", file=sys.stderr)
        return 2
    print(render(groups))
    return int(any(each.different for one in groups.values() for each in one))


def render(groups: Mapping[str, list[Comparison]]) -> str:
    """Return the table, by group."""
    rows = [("group", "cases", "facts compared", "equal", "different", "not modelled")]
    everything = [each for one in groups.values() for each in one]
    for name, found in (*groups.items(), ("all", everything)):
        rows.append(
            (
                name,
                f"{len(found):,}",
                f"{sum(each.compared for each in found):,}",
                f"{sum(each.equal for each in found):,}",
                f"{sum(len(each.different) for each in found):,}",
                f"{sum(len(each.not_modelled) for each in found):,}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
