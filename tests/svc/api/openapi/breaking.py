"""What of a contract's change breaks clients of the one before.

A request that was valid must stay valid, and an answer must be one that the old document allows.
New routes, parameters that may be left out, members of answers and error codes break nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.svc.api.openapi.lint import operations, resolve
from tests.svc.api.openapi.schema_changes import Change, changed_schema

Document = dict[str, Any]
PROBLEM: Final = "application/problem+json"


def breaks(old: Document, new: Document) -> Iterator[str]:
    """Yield a sentence for each change that breaks clients."""
    after = dict(operations(new))
    for where, operation in operations(old):
        if where not in after:
            yield f"{where}: it was removed"
        else:
            for each in _changed_operation(_Pair(old, new), operation, after[where]):
                yield f"{where}: {each}"
    yield from _changed_codes(old, new)


class _Pair:
    """Two documents, in which references are looked up."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old, self.new = old, new

    def schemas(self, change: Change, old: Any, new: Any, where: str) -> Iterator[str]:
        yield from changed_schema(
            change,
            old,
            new,
            where,
            lambda part: resolve(self.old, part),
            lambda part: resolve(self.new, part),
        )


def _changed_operation(pair: _Pair, old: Any, new: Any) -> Iterator[str]:
    if old["operationId"] != new["operationId"]:
        yield f"operationId was {old['operationId']!r}: generated clients name a method by it"
    if (not old["security"] or {} in old["security"]) and (
        new["security"] and {} not in new["security"]
    ):
        yield "it needs a token now"
    yield from _changed_scopes(old, new)
    yield from _changed_parameters(pair, old, new)
    yield from _changed_body(pair, old, new)
    for status, response in old["responses"].items():
        if status[0] in "23":
            if status not in new["responses"]:
                yield f"the response {status} was removed"
            else:
                found = resolve(pair.new, new["responses"][status])
                for each in _changed_response(pair, resolve(pair.old, response), found):
                    yield f"the response {status}: {each}"


def _changed_scopes(old: Any, new: Any) -> Iterator[str]:
    def scopes(operation: Any) -> set[str]:
        return {scope for one in operation["security"] for each in one.values() for scope in each}

    if more := scopes(new) - scopes(old):
        yield f"a token needs the scope {', '.join(sorted(more))} now"


def _changed_parameters(pair: _Pair, old: Any, new: Any) -> Iterator[str]:
    before = _parameters(pair.old, old)
    after = _parameters(pair.new, new)
    for name, each in before.items():
        if name not in after:
            yield f"the {name} was removed"
        else:
            if after[name].get("required") and not each.get("required"):
                yield f"the {name} is required now"
            yield from pair.schemas(
                Change.SENT, each["schema"], after[name]["schema"], f"the {name}"
            )
    for name, each in after.items():
        if name not in before and each.get("required"):
            yield f"the {name} is new and required"


def _parameters(document: Document, operation: Any) -> dict[str, Any]:
    found = [resolve(document, each) for each in operation.get("parameters", [])]
    return {f"{each['in']} parameter {each['name']}": each for each in found}


def _changed_body(pair: _Pair, old: Any, new: Any) -> Iterator[str]:
    before = resolve(pair.old, old.get("requestBody", {}))
    after = resolve(pair.new, new.get("requestBody", {}))
    if after.get("required") and not before.get("required"):
        yield "a body is required now"
    for media, each in before.get("content", {}).items():
        if media not in after.get("content", {}):
            yield f"a body of type {media} was allowed"
        else:
            found = after["content"][media]
            yield from pair.schemas(Change.SENT, each["schema"], found["schema"], "the body")


def _changed_response(pair: _Pair, old: Any, new: Any) -> Iterator[str]:
    for name, each in old.get("headers", {}).items():
        if not resolve(pair.old, each).get("required"):
            continue
        found = resolve(pair.new, new.get("headers", {}).get(name, {}))
        if not found.get("required"):
            yield f"the header {name} was always there"
    for media, each in old.get("content", {}).items():
        if media not in new.get("content", {}):
            yield f"it was {media}"
        else:
            found = new["content"][media]
            yield from pair.schemas(Change.ANSWERED, each["schema"], found["schema"], "the body")


def _changed_codes(old: Document, new: Document) -> Iterator[str]:
    """Compare errors by code: what each one means for the change and for a retry."""
    before, after = _codes(old), _codes(new)
    for code, meaning in before.items():
        if code not in after:
            yield f"the error {code}: it was removed"
            continue
        for name, value in meaning.items():
            if after[code][name] != value:
                yield f"the error {code}: {name} was {value['const']!r}"


def _codes(document: Document) -> dict[str, Any]:
    schemas = document["components"]["schemas"].values()
    found = [
        each["properties"]
        for each in schemas
        if "const" in each.get("properties", {}).get("code", {})
    ]
    return {each["code"]["const"]: each for each in found}
