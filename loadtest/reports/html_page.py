"""An HTML page with the requests per second by release, as one chart without a script. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from .releases import HEADS, Release, ReleaseCounts

_WIDTH: Final = 900
_HEIGHT: Final = 260
#: Colours that people with colour blindness can distinguish (Okabe and Ito, 2008).
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_STYLE: Final = (
    "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    "svg{background:#f6f6f6}"
)


def render(counts: ReleaseCounts, notes: Sequence[str] = ()) -> str:
    """Return an HTML page: requests of each second stacked by release, and the table."""
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in counts.rows())
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    heads = "".join(f"<th>{escape(head)}</th>" for head in HEADS)
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>By version</title>'
        f"<style>{_STYLE}</style><h1>Requests per second by version</h1>{_chart(counts)}"
        f"<table><tr>{heads}</tr>{table}</table>{paragraphs}</html>\n"
    )


def _chart(counts: ReleaseCounts) -> str:
    names = sorted(counts.releases)
    if not names:
        return "<p>No requests.</p>"
    most = max(second.total() for second in counts.seconds.values())
    bars = "".join(_bars(counts, names, most))
    legend = "".join(
        f'<text x="{8 + 200 * (number % 4)}" y="{_HEIGHT + 34 + 18 * (number // 4)}"'
        f' fill="{_colour(number)}">■ {escape(" ".join(name).strip() or "no release")}</text>'
        for number, name in enumerate(names)
    )
    height = _HEIGHT + 46 + 18 * (len(names) // 4)
    return (
        f'<svg width="{_WIDTH}" height="{height}" role="img"'
        f' aria-label="requests per second, {most} at most">{bars}{legend}'
        f'<text x="4" y="14">{most}/s</text>'
        f'<text x="{_WIDTH - 50}" y="{_HEIGHT + 14}">{counts.duration} s</text></svg>'
    )


def _bars(counts: ReleaseCounts, names: Sequence[Release], most: int) -> Iterator[str]:
    first, width = min(counts.seconds), _WIDTH / counts.duration
    for second, releases in sorted(counts.seconds.items()):
        top = float(_HEIGHT)
        for number, name in enumerate(names):
            height = releases[name] / most * _HEIGHT
            top -= height
            if height:
                yield (
                    f'<rect x="{(second - first) * width:.1f}" y="{top:.1f}"'
                    f' width="{width:.2f}" height="{height:.1f}" fill="{_colour(number)}"/>'
                )


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
