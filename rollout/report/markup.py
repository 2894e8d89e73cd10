"""Elements of HTML and SVG: text is escaped because it is text, not because somebody thought of it.

Every element is closed, so that the page is well-formed XML as well.
"""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: str | float) -> Markup:
    """Build an element; ``class_`` is class, other underscores are hyphens."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
    )
    if not children:
        return Markup(f"<{tag}{given}/>" if tag in _EMPTY else f"<{tag}{given}></{tag}>")
    return Markup(f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*children: str) -> Markup:
    """Put children side by side, escaping those that are no markup."""
    return Markup(
        "".join(each if isinstance(each, Markup) else _escaped(each) for each in children)
    )


#: Those that never have content, and those of SVG that have none here.
_SPACES = frozenset({"\n", "\u00a0"})
_EMPTY = frozenset({"meta", "br", "line", "path", "circle", "rect"})


def _escaped(text: str) -> str:
    # Characters that XML has no place for, even escaped, would make the page unreadable as such.
    return escape(printable(text))


def printable(text: str) -> str:
    """Replace what neither XML nor a terminal should get: control characters and the like."""
    return "".join(each if each.isprintable() or each in _SPACES else "�" for each in text)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return printable(value)
    return f"{value:.1f}".removesuffix(".0")
