"""Compares a document with a structural schema: what kinds, types and values its fields have. Pure.

It knows the keywords that CustomResourceDefinitions and the schemas of Kubernetes' own kinds use.
Rules in CEL (``x-kubernetes-validations``) are not evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from ..manifests.field_errors import FieldError
from ..manifests.json_path import PathSegments
from ..manifests.parsing import bad_value, missing_field, unknown_field, wrong_type

Schema = Mapping[str, Any]
#: Returns the schema that a ``$ref`` names.
Resolve = Callable[[str], Schema]

_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_LARGEST: Final = {"int32": 2**31 - 1, "int64": 2**63 - 1}


def no_references(name: str) -> Schema:
    """Resolve no ``$ref``: CustomResourceDefinitions have none."""
    raise KeyError(name)


def structure_errors(
    value: Any, schema: Schema, resolve: Resolve = no_references, path: PathSegments = ()
) -> Iterator[FieldError]:
    """Yield the errors of a value and of everything below it."""
    if "$ref" in schema:
        schema = resolve(schema["$ref"])
    if value is None and schema.get("nullable"):
        return
    expected = schema.get("type")
    if expected is not None and not _has_type(value, expected):
        yield wrong_type(path, f"it must be of type {_joined(expected)}")
        return
    if schema.get(_INT_OR_STRING) and not _has_type(value, ["integer", "string"]):
        yield wrong_type(path, "it must be a whole number or a text")
        return
    if isinstance(value, dict):
        yield from _mapping_errors(value, schema, resolve, path)
    elif isinstance(value, list):
        items = schema.get("items")
        for index, each in enumerate(value if items else ()):
            yield from structure_errors(each, items or {}, resolve, (*path, index))
    yield from _value_errors(value, schema, path)
    yield from _alternative_errors(value, schema, resolve, path)


def _mapping_errors(
    value: Mapping[str, Any], schema: Schema, resolve: Resolve, path: PathSegments
) -> Iterator[FieldError]:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    closed = "properties" in schema and not others and not schema.get(_OPEN)
    for name, each in value.items():
        if name in fields:
            yield from structure_errors(each, fields[name], resolve, (*path, name))
        elif isinstance(others, dict):
            yield from structure_errors(each, others, resolve, (*path, name))
        elif closed:
            yield unknown_field((*path, name), list(fields))
    for name in schema.get("required", ()):
        if name not in value:
            yield missing_field((*path, name))


def _has_type(value: Any, expected: str | list[str]) -> bool:
    if isinstance(expected, list):
        return any(_has_type(value, each) for each in expected)
    match expected:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return (isinstance(value, int) and not isinstance(value, bool)) or whole
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None


def _value_errors(value: Any, schema: Schema, path: PathSegments) -> Iterator[FieldError]:
    if "enum" in schema and value not in schema["enum"]:
        yield bad_value(path, f"it must be {_joined(schema['enum'])}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least = schema.get("minimum")
        most = schema.get("maximum", _LARGEST.get(str(schema.get("format"))))
        if least is not None and value < least:
            yield bad_value(path, f"it must be {least} or more")
        if most is not None and value > most:
            yield bad_value(path, f"it must be {most} or less")
    elif isinstance(value, str):
        yield from _size_errors(len(value), schema, "Length", "characters", path)
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield bad_value(path, f"it must match {schema['pattern']}")
    elif isinstance(value, list):
        yield from _size_errors(len(value), schema, "Items", "items", path)
    elif isinstance(value, dict):
        yield from _size_errors(len(value), schema, "Properties", "fields", path)


def _size_errors(
    size: int, schema: Schema, suffix: str, unit: str, path: PathSegments
) -> Iterator[FieldError]:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least is not None and size < least:
        yield bad_value(path, f"it must have {least} {unit} or more")
    if most is not None and size > most:
        yield bad_value(path, f"it must have {most} {unit} or less")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None  # The pattern is of Go's dialect; the API server checks it.


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None


def _alternative_errors(
    value: Any, schema: Schema, resolve: Resolve, path: PathSegments
) -> Iterator[FieldError]:
    def fits(one: Schema) -> bool:
        # What an alternative requires counts, not which fields it knows: the schema around it does.
        open_ = {"properties": {}, _OPEN: True} if "properties" not in one else {_OPEN: True}
        return not any(True for _ in structure_errors(value, {**open_, **one}, resolve, path))

    for one in schema.get("allOf", ()):
        yield from _alternative_errors(value, one, resolve, path)
    for keyword, enough in (("oneOf", lambda count: count == 1), ("anyOf", bool)):
        if keyword in schema and not enough(sum(map(fits, schema[keyword]))):
            if types := [each["type"] for each in schema[keyword] if "type" in each]:
                yield wrong_type(path, f"it must be of type {_joined(types)}")
            else:
                yield bad_value(path, f"set {_choices(schema[keyword])}")
    if "not" in schema and fits(schema["not"]):
        yield bad_value(path, f"remove {_choices([schema['not']])}")


def _choices(alternatives: list[Schema]) -> str:
    names = [name for each in alternatives for name in each.get("required", ())]
    return f"only one of {', '.join(names)}" if names else "what kubectl explain says"


def _joined(expected: Any) -> str:
    if isinstance(expected, list):
        return " or ".join(str(each) for each in expected if each not in ("null", None))
    return str(expected)
