"""Build HTML and SVG elements with escaped text. Every element is closed: well-formed XML. Pure."""

from __future__ import annotations

from html import escape

#: Elements without content.
_EMPTY = frozenset({"meta", "br", "line", "path", "circle", "rect"})
_ALLOWED_SPACES = frozenset({"\n", "\u00a0"})


class Markup(str):
    """Text that is markup and needs no escaping."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: str | float) -> Markup:
    """Build an element; an attribute ``class_`` becomes class, ``text_anchor`` text-anchor."""
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
    )
    if not children:
        return Markup(f"<{tag}{rendered}/>" if tag in _EMPTY else f"<{tag}{rendered}></{tag}>")
    return Markup(f"<{tag}{rendered}>{join(*children)}</{tag}>")


def join(*children: str) -> Markup:
    """Concatenate children; escape those that are not Markup."""
    return Markup(
        "".join(each if isinstance(each, Markup) else escape(printable(each)) for each in children)
    )


def printable(text: str) -> str:
    """Replace control characters: XML forbids them, even escaped; a terminal would execute them."""
    return "".join(
        each if each.isprintable() or each in _ALLOWED_SPACES else "\ufffd" for each in text
    )


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return printable(value)
    return f"{value:.1f}".removesuffix(".0")
