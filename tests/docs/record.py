"""Write the real output of a page's commands into the page: python -m tests.docs.record PAGE…

An output that is right as it is shown stays, with its ids and its ``…``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.pages import Command
from tests.docs.running import run_page


def record(page: Path) -> None:
    changed: list[tuple[Command, str]] = []
    with tempfile.TemporaryDirectory() as directory:
        run_page(page, Path(directory), lambda *each: changed.append(each))
    lines = page.read_text().splitlines()
    # From the end, so that the numbers of the lines before stay.
    for command, output in reversed(changed):
        first = command.line + command.text.count("\n")
        lines[first : first + len(command.output or [])] = output.strip("\n").splitlines()
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        record(Path(name).resolve())
