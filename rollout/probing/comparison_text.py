"""A comparison for people: on a terminal, as JSON, as a comment of a pull request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .comparison import Comparison, Difference


def groups_of(differences: Sequence[Difference]) -> list[list[Difference]]:
    """Return differences that say the same together, in their order."""
    found: dict[tuple[str, ...], list[Difference]] = {}
    for each in differences:
        found.setdefault(each.texts, []).append(each)
    return list(found.values())


def witness_line(group: Sequence[Difference]) -> str:
    """Return a request of a group, and what changed."""
    return f"{_witness(group)}: {'; '.join(group[0].texts)}"


def render_text(comparison: Comparison) -> str:
    """Return a line for each difference, with one request of it, and what is not compared."""
    lines = [*map(witness_line, groups_of(comparison.differences))]
    if not comparison.differences:
        lines.append("no request is treated differently")
    lines += [f"not compared: {each}" for each in comparison.not_compared]
    lines += comparison.notes
    return "\n".join(lines) + "\n"


def render_markdown(comparison: Comparison) -> str:
    """Return a comment: a table of the differences, the requests of each below it."""
    groups = groups_of(comparison.differences)
    if not groups:
        lines = ["**Routing:** no request is treated differently.", ""]
    else:
        count = len(comparison.differences)
        verb = "is" if count == 1 else "are"
        many = _count(count, "class", "classes")
        lines = [
            f"**Routing:** {many} of requests {verb} treated differently (confirmed on Envoy).",
            "",
            "| request | change |",
            "|---|---|",
        ]
        for group in groups:
            change = "<br>".join(map(_cell, group[0].texts))
            lines.append(f"| `{_cell(_witness(group))}` | {change} |")
        lines += ["", "<details><summary>Every class, with the rules that took it</summary>", ""]
        for each in comparison.differences:
            lines.append(
                f"- `{each.request}` from {each.caller}: {each.old.rule} → {each.new.rule}"
            )
        lines += ["", "</details>", ""]
    if comparison.not_compared:
        lines += ["**Not compared:**", ""]
        lines += [f"- {each}" for each in comparison.not_compared]
        lines.append("")
    return "\n".join(lines)


def render_json(comparison: Comparison) -> str:
    """Return everything, for programs."""
    value = {
        "differences": [_json(each) for each in comparison.differences],
        "notCompared": list(comparison.not_compared),
        "notes": list(comparison.notes),
        "classes": comparison.classes,
    }
    return json.dumps(value, indent=2) + "\n"


def _json(difference: Difference) -> dict[str, Any]:
    request = difference.request
    return {
        "from": difference.caller,
        "request": request.url,
        "headers": dict(request.headers),
        "change": list(difference.texts),
        "old": {"rule": difference.old.rule, **difference.old.effect.facts},
        "new": {"rule": difference.new.rule, **difference.new.effect.facts},
    }


def _witness(group: Sequence[Difference]) -> str:
    first = group[0]
    inside = "" if first.caller == "ingress" else f" from {first.caller}"
    more = f" (and {_count(len(group) - 1, 'class', 'classes')} more)" if len(group) > 1 else ""
    return f"{first.request}{inside}{more}"


def _count(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


FORMATS = {"text": render_text, "markdown": render_markdown, "json": render_json}
