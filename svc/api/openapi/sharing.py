"""Parts of the document that occur more than once, kept in its components. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec


def share(paths: dict[str, Any], components: dict[str, Any], section: str) -> None:
    """Replace what several operations have with references to ``components[section]``."""
    places = list(_places(paths, section))
    texts = [msgspec.json.encode(holder[at]) for holder, at in places]
    times = Counter(texts)
    names: dict[bytes, str] = {}
    shared = components.setdefault(section, {})
    for (holder, at), text in zip(places, texts, strict=True):
        if times[text] > 1:
            if text not in names:
                names[text] = _free_name(_name_of(holder[at], at), shared)
                shared[names[text]] = holder[at]
            holder[at] = {"$ref": f"#/components/{section}/{names[text]}"}


def used_of(document: Any) -> set[tuple[str, str]]:
    """Return the section and the name of each component that is referred to, from any place."""
    return {
        (found[1], found[2])
        for ref in _refs(document)
        if (found := re.fullmatch(r"#/components/([^/]+)/([^/]+)", ref))
    }


def _refs(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, each in part.items():
            if name == "$ref":
                yield each
            elif name == "mapping":
                yield from each.values()
            else:
                yield from _refs(each)
    elif isinstance(part, list):
        for each in part:
            yield from _refs(each)


def _places(paths: dict[str, Any], section: str) -> Iterator[tuple[Any, Any]]:
    for methods in paths.values():
        for operation in methods.values():
            parts = operation[section]
            for at in parts if isinstance(parts, dict) else range(len(parts)):
                yield parts, at


def _name_of(part: dict[str, Any], at: Any) -> str:
    """Return the parameter's name, or the status of a response with the codes that it has."""
    if "name" in part:
        return str(part["name"])
    codes = re.findall(r"^- `(\w+)`", part["description"], re.MULTILINE)
    return ".".join([str(at), *codes])


def _free_name(name: str, taken: dict[str, Any]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}.{number}" in taken:
        number += 1
    return f"{name}.{number}"
