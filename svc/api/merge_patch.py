"""JSON Merge Patch (RFC 7396 §2). Pure."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from .strict_json import read_members, write_members

#: The first byte of null, and of an object.
_NULL: Final = ord("n")
_OBJECT: Final = ord("{")


def merge_steps(target: bytes, patch: bytes) -> Generator[None, None, bytes]:
    """Return the target with the patch applied, in short steps. Both must be checked JSON.

    Only the objects that the patch names are read. All else is copied as it is.
    """
    changes = read_members(patch)
    if changes is None:
        return patch
    merged: dict[str, Any] = read_members(target) or {}
    waiting = [(merged, changes)]
    while waiting:
        into, changes = waiting.pop()
        for name, value in changes.items():
            first = memoryview(value)[0]
            if first == _NULL:
                into.pop(name, None)
            elif first == _OBJECT:
                yield
                old = into.get(name)
                into[name] = inner = {} if old is None else read_members(old) or {}
                waiting.append((inner, read_members(value) or {}))
            else:
                into[name] = value
    result: bytes = write_members(merged)
    return result
