"""Passages of documents that a program writes from its results, between two comments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .processes import ROOT
from .program import BUILD
from .rows import render_number

END: Final = "<!-- end -->"
SIGNS: Final = {"at_most": "at most", "at_least": "at least"}
README: Final = ROOT / "README.md"
PAGE: Final = ROOT / "docs" / "reference" / "bench.md"

#: Returns a passage of each file.
Render = Callable[[Mapping[str, Any]], Mapping[Path, str]]


def begin_of(program: str) -> str:
    return f"<!-- written by python -m bench.{program}.readme -->"


def write_passage(file: Path, program: str, passage: str) -> None:
    """Replace what is between the marks; raise ValueError if they are not there once."""
    text, begin = file.read_text(), begin_of(program)
    head, _, rest = text.partition(begin)
    _, end, tail = rest.partition(END)
    if text.count(begin) != 1 or not end:
        raise ValueError(f"{file}: must have {begin} once, and then {END}")
    file.write_text(f"{head}{begin}{passage}{END}{tail}")


def block(lines: str) -> str:
    """Return lines as a passage between marks on lines of their own."""
    return f"\n\n{lines}\n"


def render_limit(row: Mapping[str, Any]) -> str:
    ((kind, bound),) = row["limit"].items()
    return f"{SIGNS[kind]} {render_number(bound)} {row['unit']}".rstrip()


def write_documents(program: str, render: Render, arguments: Sequence[str]) -> int:
    """Write the passages from files of results, ``build/<program>.json`` unless they are named.

    Return the exit code.
    """
    files = [Path(each) for each in arguments] or [BUILD / f"{program}.json"]
    try:
        results = [json.loads(file.read_text()) for file in files]
        together = {**results[0], "rows": [row for each in results for row in each["rows"]]}
        for page, passage in render(together).items():
            write_passage(page, program, passage)
    except (OSError, ValueError) as error:
        print(f"bench.{program}.readme: {error}", file=sys.stderr)
        return 2
    return 0
