"""JSON patches (RFC 6902) with their tests, and the first difference of two documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Operation = dict[str, Any]
#: Keys and list indexes from the root of the object.
JsonPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON patch: its ``test`` operations and its edits. Falsy without edits."""

    tests: tuple[Operation, ...] = ()
    edits: tuple[Operation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edits)

    def __add__(self, other: Patch) -> Patch:
        return Patch(self.tests + other.tests, self.edits + other.edits)

    def operations(self, live: Json) -> list[Operation]:
        """Return all operations. They fail as a whole if ``live`` has changed since it was read."""
        version = live["metadata"]["resourceVersion"]
        return [test(("metadata", "resourceVersion"), version), *self.tests, *self.edits]


def test(path: JsonPath, value: Any) -> Operation:
    """Build an operation that makes the whole patch fail unless ``path`` has this value."""
    return operation("test", path, value)


def operation(op: str, path: JsonPath, value: Any = None) -> Operation:
    """Build one operation; ``path`` becomes a JSON pointer (RFC 6901)."""
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return {"op": op, "path": pointer} | ({} if op == "remove" else {"value": value})


def first_difference(live: Any, wanted: Any, path: JsonPath) -> JsonPath | None:
    """Return the path of the first value that differs, None if there is none."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        for key in sorted({*live, *wanted}):
            if key not in live or key not in wanted:
                return (*path, key)
            if (found := first_difference(live[key], wanted[key], (*path, key))) is not None:
                return found
        return None
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        pairs = enumerate(zip(live, wanted, strict=True))
        paths = (first_difference(one, other, (*path, index)) for index, (one, other) in pairs)
        return next((each for each in paths if each is not None), None)
    return None if live == wanted else path


def without(part: Json, name: str) -> dict[str, Any]:
    """Return a mapping without one key."""
    return {key: value for key, value in part.items() if key != name}
