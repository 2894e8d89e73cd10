"""Lines of cells, set in columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def align(lines: Sequence[Sequence[str]]) -> str:
    """Set cells in columns, the first to the left, the others to the right; underline the heads."""
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    rendered = [
        "  ".join(
            (line[0].ljust(first), *map(str.rjust, line[1:], others)),
        ).rstrip()
        for line in lines
    ]
    rendered.insert(1, "-" * max(map(len, rendered)))
    return "\n".join(rendered)
