"""A page that shows which release answered when: one picture, no script. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from .versions import HEADS, Release, Tally

_WIDTH: Final = 900
_HEIGHT: Final = 260
#: Told apart also by those who don't tell red from green (Okabe and Ito, 2008).
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_STYLE: Final = (
    "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    "svg{background:#f6f6f6}"
)


def render(tally: Tally, notes: Sequence[str] = ()) -> str:
    """Return an HTML page: requests of each second stacked by release, and the table."""
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in tally.rows())
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    heads = "".join(f"<th>{escape(head)}</th>" for head in HEADS)
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>By version</title>'
        f"<style>{_STYLE}</style><h1>Requests per second by version</h1>{_picture(tally)}"
        f"<table><tr>{heads}</tr>{table}</table>{told}</html>\n"
    )


def _picture(tally: Tally) -> str:
    names = sorted(tally.releases)
    if not names:
        return "<p>No requests.</p>"
    most = max(counts.total() for counts in tally.seconds.values())
    bars = "".join(_bars(tally, names, most))
    legend = "".join(
        f'<text x="{8 + 200 * (number % 4)}" y="{_HEIGHT + 34 + 18 * (number // 4)}"'
        f' fill="{_colour(number)}">■ {escape(" ".join(name).strip() or "nobody")}</text>'
        for number, name in enumerate(names)
    )
    height = _HEIGHT + 46 + 18 * (len(names) // 4)
    return (
        f'<svg width="{_WIDTH}" height="{height}" role="img"'
        f' aria-label="requests per second, {most} at most">{bars}{legend}'
        f'<text x="4" y="14">{most}/s</text>'
        f'<text x="{_WIDTH - 50}" y="{_HEIGHT + 14}">{tally.duration} s</text></svg>'
    )


def _bars(tally: Tally, names: Sequence[Release], most: int) -> Iterator[str]:
    first, width = min(tally.seconds), _WIDTH / tally.duration
    for second, counts in sorted(tally.seconds.items()):
        top = float(_HEIGHT)
        for number, name in enumerate(names):
            height = counts[name] / most * _HEIGHT
            top -= height
            if height:
                yield (
                    f'<rect x="{(second - first) * width:.1f}" y="{top:.1f}"'
                    f' width="{width:.2f}" height="{height:.1f}" fill="{_colour(number)}"/>'
                )


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
