"""Which changes of a JSON Schema break clients, by who sends what it describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

Schema = dict[str, Any]
Resolve = Callable[[Any], Any]


class Change(Enum):
    """SENT by clients: what was allowed must be. ANSWERED: what is allowed must have been."""

    SENT = "sent"
    ANSWERED = "answered"


LOWER: Final = ("minimum", "minLength", "minItems")
UPPER: Final = ("maximum", "maxLength", "maxItems")


def changed_schema(
    change: Change, old: Schema, new: Schema, where: str, in_old: Resolve, in_new: Resolve
) -> Iterator[str]:
    """Yield a sentence for each change that breaks clients."""
    before, after = by_type(in_old(old), in_old), by_type(in_new(new), in_new)
    # By who must understand all that the other one says.
    told, known = (before, after) if change is Change.SENT else (after, before)
    for name in told:
        if name not in known and "any" not in known:
            verb = "may not be" if change is Change.SENT else "may be"
            yield f"{where} {verb} {name} now"
    for name in before.keys() & after.keys():
        yield from _changed_limits(change, before[name], after[name], where)
        yield from _changed_values(change, before[name], after[name], where)
        yield from _changed_members(change, before[name], after[name], where, in_old, in_new)


def by_type(schema: Schema, follow: Resolve) -> dict[str, Schema]:
    """Return the schema by the types that it allows; ``any`` if it allows all."""
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            found: dict[str, Schema] = {}
            for each in schema[kind]:
                for name, part in by_type(follow(each), follow).items():
                    found[_title(part) if name == "object" else name] = part
            return found
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return dict.fromkeys(types, schema)
    if "enum" in schema:
        return {"one of a set": schema}
    return {"any": schema}


def _title(schema: Schema) -> str:
    return f"an object {schema['title']}" if "title" in schema else "object"


def _changed_limits(change: Change, old: Schema, new: Schema, where: str) -> Iterator[str]:
    narrowed = change is Change.SENT
    for names, is_upper in ((LOWER, False), (UPPER, True)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            # Without a limit, it is the widest.
            is_narrower = before is None or (
                after is not None and (after < before if is_upper else after > before)
            )
            if is_narrower is narrowed:
                yield f"{where}: {name} was {before}, and is {after}"
    if narrowed and new.get("pattern") not in {None, old.get("pattern")}:
        yield f"{where}: pattern was {old.get('pattern')!r}"
    if "default" in old and old["default"] != new.get("default"):
        yield f"{where}: default was {old['default']!r}"


def _changed_values(change: Change, old: Schema, new: Schema, where: str) -> Iterator[str]:
    if "enum" not in old and "enum" not in new:
        return
    before, after = set(old.get("enum", ())), set(new.get("enum", ()))
    if change is Change.SENT and (gone := before - after or ("enum" not in old)):
        yield f"{where}: {gone if gone is True else sorted(gone)} is refused now"
    if change is Change.ANSWERED and "enum" in old and (more := after - before):
        yield f"{where}: {sorted(more)} was no possible value"


def _changed_members(
    change: Change, old: Schema, new: Schema, where: str, in_old: Resolve, in_new: Resolve
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, each in before.items():
        if name not in after:
            yield f"{where}: the member {name} was removed"
        else:
            inner = f"{where}: the member {name}"
            yield from changed_schema(change, each, after[name], inner, in_old, in_new)
    required, wanted = set(old.get("required", ())), set(new.get("required", ()))
    if change is Change.SENT:
        for name in sorted(wanted - required):
            yield f"{where}: the member {name} is required now"
        if new.get("additionalProperties") is False and "additionalProperties" not in old:
            yield f"{where}: other members are refused now"
    else:
        for name in sorted(required - wanted):
            yield f"{where}: the member {name} was always there"
    if "items" in old and "items" in new:
        inner = f"{where}: an item"
        yield from changed_schema(change, old["items"], new["items"], inner, in_old, in_new)
