"""JSON Schemas of the types in bodies.py, and of query parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, Final

import msgspec

from .model import Kind

REF: Final = "#/components/schemas/{name}"


def build_schemas(kinds: Iterable[Kind]) -> dict[str, Any]:
    """Return the component schemas of these types, and of all that they hold."""
    _, components = msgspec.json.schema_components([*kinds], ref_template=REF)
    return {name: tidy(schema) for name, schema in sorted(components.items())}


def refer(kind: Kind) -> dict[str, Any]:
    return {"$ref": REF.format(name=kind.__name__)}


def query_parameters(kind: Kind) -> Iterator[dict[str, Any]]:
    """Yield the query parameters that the fields of this type parse."""
    _, components = msgspec.json.schema_components([kind], ref_template=REF)
    required = components[kind.__name__].get("required", ())
    for name, schema in components[kind.__name__]["properties"].items():
        wanted = tidy(schema)
        if "anyOf" in wanted:  # or null: what an absent parameter is in Python
            wanted = wanted["anyOf"][0]
        says = wanted.pop("description")
        found = {"name": name, "in": "query", "description": says, "schema": wanted}
        yield found | {"required": True} if name in required else found


def tidy(schema: Any) -> Any:
    """Return the schema in the form that is published."""
    if isinstance(schema, list):
        return [tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: tidy(each) for name, each in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = cleandoc(found["description"])
    if (exactly := found.pop("x-exactly", None)) is None:
        return found
    kept = {name: found[name] for name in ("description", "default") if name in found}
    if exactly["type"] == "integer":
        kept |= {"default": int(kept["default"])}
    return kept | exactly
