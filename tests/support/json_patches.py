"""JSON patches (RFC 6902) and merge patches (RFC 7396), as an API server applies them."""

from __future__ import annotations

from typing import Any


def apply_operation(document: Any, operation: dict[str, Any]) -> None:
    """Apply one operation of RFC 6902 in place: test, add, replace or remove."""
    *way, last = [
        step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
    ]
    parent = document
    for step in way:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    key: Any = last
    if isinstance(parent, list):
        key = len(parent) if last == "-" else int(last)
    match operation["op"]:
        case "test":
            if parent[key] != operation["value"]:
                raise ValueError(operation["path"])
        case "add" if isinstance(parent, list):
            parent.insert(key, operation["value"])
        case "add":
            parent[key] = operation["value"]
        case "replace":
            if isinstance(parent, dict) and key not in parent:
                raise KeyError(key)
            parent[key] = operation["value"]
        case "remove":
            del parent[key]
        case other:
            raise ValueError(other)


def merged(document: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
