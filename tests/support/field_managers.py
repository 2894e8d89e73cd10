"""Who owns which fields (metadata.managedFields), by the rules of server-side apply.

Owned are the paths of an object's values; a list is one value, as in Istio's resources.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]
FieldPath = tuple[str, ...]
_UNOWNED: Final = {("apiVersion",), ("kind",)} | {
    ("metadata", each)
    for each in (
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
        "managedFields",
    )
}  # fmt: skip


class ApplyConflict(Exception):
    """Other managers own fields of the applied object."""


def updated(old: Json | None, new: Json, manager: str) -> list[Json]:
    """Return the entries after ``manager`` replaced ``old``: it owns what it changed."""
    entries = _entries(old, new)
    before = _values(old or {})
    after = _values(new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    for each in entries:
        each["paths"] -= changed | gone
    if changed:
        _entry_of(entries, manager, "Update")["paths"] |= changed
    return _encoded(entries)


def applied(old: Json | None, wanted: Json, manager: str, *, force: bool) -> Json:
    """Return the object after a server-side apply; raise ApplyConflict.

    A conflict is a wanted field of another manager, whether or not its value differs.
    """
    entries = _entries(old, {})
    paths = _values(wanted)
    mine = _entry_of(entries, manager, "Apply")
    for each in entries:
        if each is mine:
            continue
        if (theirs := each["paths"] & paths.keys()) and not force:
            fields = "\n".join("." + ".".join(path) for path in sorted(theirs))
            version = wanted["apiVersion"]
            raise ApplyConflict(
                "Apply failed with 1 conflict: conflict with"
                f' "{each["manager"]}" using {version}: {fields}'
            )
        each["paths"] -= theirs
    document = copy.deepcopy(old or {})
    others = {path for each in entries if each is not mine for path in each["paths"]}
    for path in mine["paths"] - paths.keys() - others:
        _remove(document, path)
    for path, value in (paths | _identity(wanted)).items():
        _write(document, path, copy.deepcopy(value))
    mine["paths"] = set(paths)
    document.setdefault("metadata", {})["managedFields"] = _encoded(entries)
    return document


def owners(document: Json, *path: str) -> set[str]:
    """Return the managers that own a field."""
    return {each["manager"] for each in _entries(None, document) if path in each["paths"]}


def _identity(wanted: Json) -> dict[FieldPath, Any]:
    found: dict[FieldPath, Any] = {
        ("metadata", each): wanted["metadata"].get(each) for each in ("name", "namespace")
    }
    found |= {(each,): wanted.get(each) for each in ("apiVersion", "kind")}
    return {path: value for path, value in found.items() if value is not None}


def _values(part: Any, path: FieldPath = ()) -> dict[FieldPath, Any]:
    if isinstance(part, dict) and (part or not path):
        found: dict[FieldPath, Any] = {}
        for key, value in part.items():
            found |= _values(value, (*path, key))
        return found
    return {} if path in _UNOWNED or path[:2] == ("metadata", "managedFields") else {path: part}


def _entries(old: Json | None, new: Json) -> list[Json]:
    """Return the entries that a write gives, else those of the old object.

    An empty list gives none, and a list with one empty entry removes all.
    """
    given = new.get("metadata", {}).get("managedFields")
    if not given:
        given = (old or {}).get("metadata", {}).get("managedFields")
    return [
        {**each, "paths": set(_decoded(each.get("fieldsV1", {})))} for each in given or [] if each
    ]


def _entry_of(entries: list[Json], manager: str, operation: str) -> Json:
    for each in entries:
        if (each["manager"], each.get("operation")) == (manager, operation):
            each["time"] = _now()
            return each
    made: Json = {"manager": manager, "operation": operation, "time": _now(), "paths": set()}
    entries.append(made)
    return made


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _encoded(entries: Iterable[Json]) -> list[Json]:
    encoded = []
    for each in entries:
        if each["paths"]:
            fields: Json = {}
            for path in sorted(each["paths"]):
                place = fields
                for step in path:
                    place = place.setdefault(f"f:{step}", {})
            kept = {key: value for key, value in each.items() if key != "paths"}
            encoded.append({**kept, "fieldsType": "FieldsV1", "fieldsV1": fields})
    return encoded


def _decoded(fields: Json, path: FieldPath = ()) -> Iterable[FieldPath]:
    for key, value in fields.items():
        if key.startswith("f:"):
            if value:
                yield from _decoded(value, (*path, key[2:]))
            else:
                yield (*path, key[2:])


def _write(document: Json, path: FieldPath, value: Any) -> None:
    for step in path[:-1]:
        document = document.setdefault(step, {})
    document[path[-1]] = value


def _remove(document: Json, path: FieldPath) -> None:
    for step in path[:-1]:
        document = document.get(step, {})
    document.pop(path[-1], None)
