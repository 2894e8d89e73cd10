"""``python -m bench.cost.readme [FILE…]``: writes the figures of the documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

from bench.frame.documents import PAGE, README, block, render_limit, write_documents
from bench.frame.processes import ROOT
from bench.frame.rows import render_number

from .subjects import OURS, P50, P99, P99_NOISE, P99_RATIO, RATE, RESIDENT

HELLO: Final = "hello"
#: What a hello takes on a machine that nobody else uses. The capacity is computed from it.
HELLO_US: Final = 28
CAPACITY: Final = ROOT / "docs" / "how-to" / "plan-capacity.md"
#: Columns after the operation, the service and its cost, by the ends of the titles of their rows.
COLUMNS: Final = {
    RATE: "a second",
    P50: "p50, ms",
    P99: "p99, ms",
    P99_RATIO: "÷ hello's",
    RESIDENT: "MiB",
}
MISSED: Final = {
    "FAIL": "Limits that did not hold:",
    "within noise": "Limits that were missed by less than the noise:",
}

_Row = Mapping[str, Any]


def render_all(results: Mapping[str, Any]) -> Mapping[Path, str]:
    """Return the passages of the documents; raise ValueError if the results have no GET."""
    rows = results["rows"]
    return {
        README: render_sentence(rows),
        PAGE: block(render(results)),
        CAPACITY: block(render_capacity(rows)),
    }


def render_capacity(rows: Sequence[_Row]) -> str:
    """Return the table of what a core serves."""
    lines = ["| Operation | hellos | µs | Per second and core |", "|---|---|---|---|"]
    for row in rows:
        if _is_cost(row) and _server(row) == OURS:
            cpu_us = row["value"] * HELLO_US
            cells = [_operation(row), *map(render_number, (row["value"], cpu_us))]
            lines.append(f"| {' | '.join(cells)} | {float(f'{1e6 / cpu_us:.2g}'):,.0f} |")
    return "".join(f"{line}\n" for line in lines)


def render_sentence(rows: Sequence[_Row]) -> str:
    """Return the cost of a GET, and of FastAPI's, in a sentence; raise ValueError."""
    costs = {_server(row): row["value"] for row in rows if row["part"] == "get" and _is_cost(row)}
    if not {OURS, "FastAPI"} <= costs.keys():
        raise ValueError("the results have no GET of tallykv and FastAPI")
    ours, theirs = (render_number(costs[name]) for name in (OURS, "FastAPI"))
    return (
        f'In the last run a GET cost {ours} times the CPU time of a bare aiohttp "hello";'
        f" with FastAPI and redis-py it cost {theirs} times."
    )


def render(results: Mapping[str, Any]) -> str:
    """Return the table of operations and services, the noise, and the limits that were missed."""
    rows: Sequence[_Row] = results["rows"]
    busy = mean(part["busy_before"] for part in results["parts"].values())
    noise = [row["value"] for row in rows if row["title"] == "noise: hello, twice"]
    machine = results["machine"]
    sizes = results["arguments"]["sizes"]
    said = (
        f"From a run with {sizes['rounds']} rounds on {machine['cores']} cores, with Python"
        f" {machine['python']}. Other programs kept the cores {busy:.0%} busy. The noise of the"
        f" hellos was {render_number(min(noise))} to {render_number(max(noise))} %."
    )
    if any(_is_too_noisy(rows, part) for part in results["parts"]):
        said += " Rates and latencies are left out where the noise of hello's p99 broke its limit."
    lines = [said, "", f"| | | hellos | {' | '.join(COLUMNS.values())} |"]
    lines += [f"|---|---|---{'|---' * len(COLUMNS)}|", *_table(rows)]
    for verdict, head in MISSED.items():
        missed = [row for row in rows if row["verdict"] == verdict and not _is_hidden(rows, row)]
        if missed:
            lines += ["", head, ""]
            lines += [f"- `{row['part']}`: {_said(row)} ({render_limit(row)})" for row in missed]
    return "".join(f"{line}\n" for line in lines)


def _table(rows: Sequence[_Row]) -> Iterator[str]:
    for part in dict.fromkeys(row["part"] for row in rows):
        own = [row for row in rows if row["part"] == part]
        by_title = {row["title"]: row for row in own}
        costs = sorted((row for row in own if _is_cost(row)), key=lambda row: float(row["value"]))
        operation = "".join(_operation(row) for row in costs if _server(row) == OURS)
        for row in costs:
            cells = [operation, _server(row), render_number(row["value"])]
            for end in COLUMNS:
                found = by_title.get(f"{row['title']}: {end}")
                is_shown = found is not None and not _is_hidden(rows, found)
                cells.append(render_number(found["value"]) if found and is_shown else "")
            # The unit is the same server everywhere.
            if _server(row) != HELLO:
                yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
                operation = ""


def _is_hidden(rows: Sequence[_Row], row: _Row) -> bool:
    """Return True for a rate or a latency of a part in which a busy machine made it up."""
    return row["title"].endswith((RATE, P50, P99, P99_RATIO)) and _is_too_noisy(rows, row["part"])


def _is_too_noisy(rows: Sequence[_Row], part: str) -> bool:
    return any(
        row["part"] == part and row["title"] == P99_NOISE and row["verdict"] == "FAIL"
        for row in rows
    )


def _is_cost(row: _Row) -> bool:
    return bool(row["unit"] == "hellos")


def _server(row: _Row) -> str:
    return str(row["title"].partition(": ")[0])


def _operation(row: _Row) -> str:
    return str(row["title"].partition(": ")[2])


def _said(row: _Row) -> str:
    return f"{row['title']}: {render_number(row['value'])} {row['unit']}".rstrip()


if __name__ == "__main__":
    sys.exit(write_documents("cost", render_all, sys.argv[1:]))
