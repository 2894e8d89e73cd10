"""Places the panels: each row asks a question, and its panels fill it from the left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from .panels import Json

COLUMNS: Final = 24


@dataclass(frozen=True)
class Row:
    """A question and the panels that answer it."""

    question: str
    panels: Sequence[Json]


def number_of(title: str) -> int:
    """Return a panel's id. It depends on the title only, so links survive a move."""
    return crc32(title.encode()) % 1_000_000


def build_layout(rows: Sequence[Row]) -> list[Json]:
    """Return the panels of all rows with their positions and ids."""
    return list(_placed(rows))


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    top = 0
    for row in rows:
        yield {
            "type": "row",
            "title": row.question,
            "id": number_of(row.question),
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        left, top, height = 0, top + 1, 0
        for panel in row.panels:
            size = panel["gridPos"]
            if left + size["w"] > COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": size["w"], "h": size["h"]}
            yield panel | {"id": number_of(panel["title"]), "gridPos": place}
            left, height = left + size["w"], max(height, size["h"])
        top += height
