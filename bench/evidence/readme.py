"""``python -m bench.evidence.readme [FILE…]``: writes the tables of the documents."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.frame.documents import PAGE, README, block, render_limit, write_documents
from bench.frame.rows import render_number

from .limits import NOT_COVERED
from .promises import BAD, GOOD

_BASELINE: Final = ", baseline"
#: More rows of one part than this are shown by their worst.
_MANY: Final = 8
_COUNTS: Final = re.compile(r"(\d[\d,]*) of (\d[\d,]*)")

_Row = Mapping[str, Any]


def render_short(results: Mapping[str, Any]) -> str:
    """Return a sentence that names the worlds in which a limit does not hold."""
    worlds = dict.fromkeys(_world(row) for row in results["rows"] if _is_open(row))
    if not worlds:
        return "Simulated rollouts keep [all limits](docs/reference/bench.md#evidence).\n"
    return (
        "Simulated rollouts keep [all limits](docs/reference/bench.md#evidence), except in these"
        f" worlds, which are **not covered**: {'; '.join(worlds)}.\n"
    )


def _world(row: _Row) -> str:
    return _title(row).rpartition(": ")[0].removesuffix(_BASELINE)


def render(results: Mapping[str, Any]) -> str:
    """Return the tables of good and bad releases, and what is not covered."""
    by_part: dict[str, list[_Row]] = {}
    for row in results["rows"]:
        by_part.setdefault(row["part"], []).append(row)
    lines = [
        "| Good releases, where … | rolled back | with a baseline | inconclusive |",
        "|---|---|---|---|",
        *(
            f"| {sentence} | {' | '.join(_good(by_part[part]))} |"
            for part, sentence in GOOD.items()
            if part in by_part
        ),
        "",
        "The limits are 1 % and 5 %. The worst world of a row counts.",
        "",
        "| A bad release, or a harmless one | | must be | is |",
        "|---|---|---|---|",
    ]
    for part, sentence in BAD.items():
        first = sentence
        demanded = [row for row in by_part.get(part, ()) if row["limit"] is not None]
        for title, row in _shown(demanded):
            lines.append(f"| {first} | {title} | {render_limit(row)} | {_value(row)} |")
            first = ""
    failed = [row for rows in by_part.values() for row in rows if _is_open(row)]
    if failed:
        lines += ["", "Not covered:", ""]
        lines += [f"- {_title(row)}: {_value(row)}{_why(row)}" for row in failed]
    return "".join(f"{line}\n" for line in lines)


def _shown(rows: Sequence[_Row]) -> Iterator[tuple[str, _Row]]:
    """Yield the rows with their titles; of many with the same limit only the worst."""
    limits = {render_limit(row) for row in rows}
    if len(rows) <= _MANY:
        yield from ((_title(row), row) for row in rows)
        return
    for limit in sorted(limits):
        alike = [row for row in rows if render_limit(row) == limit]
        worst = max(alike, key=lambda row: float("inf") if row["value"] is None else row["value"])
        yield f"the worst of {len(alike)} worlds: {_title(worst)}", worst


def _good(rows: Sequence[_Row]) -> Iterator[str]:
    # Those without a limit are not covered, and named below the tables.
    rolled_back = [row for row in rows if row["limit"] and row["title"].endswith(": rolled back")]
    for has_baseline in (False, True):
        yield _worst(row for row in rolled_back if (_BASELINE in row["title"]) == has_baseline)
    yield _worst(row for row in rows if row["title"].endswith(": inconclusive"))


def _worst(rows: Iterable[_Row]) -> str:
    found = max(rows, key=lambda row: float(row["value"]), default=None)
    if found is None:
        return ""
    counts = _COUNTS.match(found["note"])
    return counts[0] if counts else _value(found)


def _is_open(row: _Row) -> bool:
    """Return True for a row whose limit is broken, or that has none because it would not hold."""
    world, _, what = row["title"].rpartition(": ")
    is_bound = what.endswith("bound")  # of a ratio that is named
    return row["verdict"] == "FAIL" or (not row["limit"] and world in NOT_COVERED and not is_bound)


def _why(row: _Row) -> str:
    why = NOT_COVERED.get(row["title"].rpartition(":")[0])
    return f" ({why})" if why else f" (must be {render_limit(row)})"


def _title(row: _Row) -> str:
    return str(row["title"]).replace("|", "/")


def _value(row: _Row) -> str:
    value = row["value"]
    number = "never" if value is None else f"{render_number(value)} {row['unit']}".rstrip()
    counts = _COUNTS.match(row["note"])
    if counts is None or row["unit"] != "%":
        return number
    return (
        f"{number} ({counts[0]})" if row["title"].endswith("bound") else f"{number} of {counts[2]}"
    )


def render_all(results: Mapping[str, Any]) -> Mapping[Path, str]:
    """Return the passages of the documents."""
    return {README: block(render_short(results)), PAGE: block(render(results))}


if __name__ == "__main__":
    sys.exit(write_documents("evidence", render_all, sys.argv[1:]))
