"""JSON paths of fields in a manifest, such as ``spec.http[1].route[0].weight``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: Field names, map keys and list indexes, from the root of the object to a field.
PathSegments = tuple[str | int, ...]

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def render_path(segments: Iterable[str | int]) -> str:
    """Render a JSON path: ``spec.http[1].route[0].weight``."""
    path = ""
    for segment in segments:
        if isinstance(segment, int):
            path += f"[{segment}]"
        elif _PLAIN_NAME.fullmatch(segment):
            path += f".{segment}" if path else segment
        else:
            path += f'["{segment}"]'
    return path
