"""Read one object of Istio's: every refusal at once, each by its path."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .kinds import ISTIO, REFUSED, SUPPORTED, Supported
from .metadata import DEFAULT_NAMESPACE, IstioObject
from .part import Part, Steps, Unsupported, WrittenAs
from .refusals import Reason, Refusal, render_path

_REASONS: Final = {reason.value: reason for reason in Reason}
#: How pydantic says that a value is of the right type and still not allowed.
_VALUES: Final = (
    "literal_error",
    "greater_than",
    "less_than",
    "string_too_short",
    "string_too_long",
    "finite_number",
)
#: What YAML calls the types.
_TYPES: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "a text: put it in quotes",
    "tuple_type": "a list",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    ``manifest`` is the object if nothing was refused. ``rest`` is what remains of it without the
    refused fields, for a reader that goes on after a mistake; None if too little remains.
    """

    refusals: tuple[Refusal, ...]
    manifest: IstioObject | None = None
    rest: IstioObject | None = None


def is_istio(api_version: str) -> bool:
    """Tell whether an object belongs to one of Istio's API groups."""
    return api_version.partition("/")[0].endswith(ISTIO)


def read_manifest(
    document: Mapping[str, Any], default_namespace: str = DEFAULT_NAMESPACE
) -> Reading:
    """Read an object of Istio's; ``default_namespace`` is for one that names none."""
    group, _, version = str(document["apiVersion"]).partition("/")
    kind = str(document["kind"])
    supported = SUPPORTED.get((group, kind))
    if refusal := _refuse_kind(group, version, kind, supported):
        return Reading((refusal,))
    assert supported is not None  # noqa: S101 - or it was refused
    placed = _with_namespace(document, default_namespace)
    try:
        manifest = supported.model.model_validate_json(json.dumps(placed)).placed()
    except ValidationError as error:
        errors = _own(error.errors(include_url=False, include_input=False))
        refusals = tuple(_refusal(supported.model, each) for each in errors)
        return Reading(refusals, rest=_salvage(supported.model, placed, errors))
    return Reading((), manifest, manifest)


def _refuse_kind(
    group: str, version: str, kind: str, supported: Supported | None
) -> Refusal | None:
    if supported and version in supported.versions:
        return None
    if supported:
        return Refusal(
            Reason.UNKNOWN_KIND,
            "apiVersion",
            f"{group} has no version {version} of {kind}",
            f"write {group}/{supported.versions[0]}",
        )
    if remedy := REFUSED.get((group, kind)):
        return Refusal(Reason.UNSUPPORTED_KIND, "kind", f"{kind} is not supported", remedy)
    known = [name for of, name in (*SUPPORTED, *REFUSED) if of == group]
    elsewhere = [of for of, name in (*SUPPORTED, *REFUSED) if name == kind]
    if elsewhere:
        remedy = f"{kind} is of {elsewhere[0]}"
    else:
        remedy = _meant(kind, known) or "supported are: " + ", ".join(
            sorted(name for _, name in SUPPORTED)
        )
    return Refusal(Reason.UNKNOWN_KIND, "kind", f"{group} has no kind {kind}", remedy)


def _with_namespace(document: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("namespace"):
        return dict(document)
    return {**document, "metadata": {**metadata, "namespace": namespace}}


def _own(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out the lists that are too short only because what is in them was refused."""
    ways = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(way[: len(error["loc"])] == error["loc"] != way for way in ways)
    ]


def _steps(error: ErrorDetails) -> Steps:
    # pydantic marks an error of a mapping's key so; the key itself is the path already.
    return tuple(step for step in error["loc"] if step != "[key]")


def _refusal(model: type[Part], error: ErrorDetails) -> Refusal:
    steps = _steps(error)
    path = render_path(steps)
    kind = error["type"]
    if reason := _REASONS.get(kind):
        what = f"{error['msg']} is not supported" if _names_it(reason) else error["msg"]
        return Refusal(reason, path, what, error["ctx"]["remedy"])
    if kind == "extra_forbidden":
        fields = fields_at(model, steps[:-1])
        name = str(steps[-1])
        return Refusal(
            Reason.UNKNOWN_FIELD, path, f'there is no field "{name}"', closest(name, fields)
        )
    if kind == "missing":
        return Refusal(Reason.MISSING_FIELD, path, "the field is required", "add it")
    if kind == "too_short":
        return Refusal(Reason.MISSING_FIELD, path, "the list is empty", "give at least one")
    said = _TYPES.get(kind) or error["msg"].removeprefix("Input should be ")
    if kind.startswith(_VALUES) or kind.endswith(_VALUES):
        return Refusal(Reason.BAD_VALUE, path, "the value is not allowed", f"it has to be {said}")
    return Refusal(Reason.WRONG_TYPE, path, "the value is of another type", f"it has to be {said}")


def _names_it(reason: Reason) -> bool:
    return reason in {Reason.UNSUPPORTED_FIELD, Reason.UNSUPPORTED_VALUE}


def closest(written: str, fields: list[str]) -> str:
    """Suggest the field that was meant, or name them all."""
    return _meant(written, fields) or "the fields here are: " + ", ".join(sorted(fields))


def _meant(written: str, known: list[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""


def fields_at(model: type[Part], steps: Steps) -> list[str]:
    """Return the names of the supported fields of the part at ``steps``."""
    parts = [model]
    for step in steps:
        below: list[type[Part]] = []
        for part in parts:
            for name, field in part.model_fields.items():
                if step in (field.alias, name):
                    annotated = [one.part for one in field.metadata if isinstance(one, WrittenAs)]
                    below += annotated or list(_parts_of(field.annotation))
        # An index or a key leads from a list or a mapping to its parts, which are found already.
        parts = below or parts
    return [
        field.alias or name
        for part in parts
        for name, field in part.model_fields.items()
        if not any(isinstance(one, Unsupported) for one in field.metadata)
    ]


def _parts_of(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    elif isinstance(annotation, WrittenAs):
        yield annotation.part
    for inner in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        yield from _parts_of(inner)


def _salvage(
    model: type[IstioObject], document: Mapping[str, Any], errors: list[ErrorDetails]
) -> IstioObject | None:
    """Validate once more without the refused fields."""
    rest: Any = deepcopy(document)
    for error in errors:
        *way, last = _steps(error)
        if not isinstance(last, str) or error["type"] == "missing":
            return None
        _remove(rest, way, last)
    try:
        return model.model_validate_json(json.dumps(rest)).placed()
    except ValidationError:
        return None


def _remove(document: Any, way: Sequence[str | int], name: str) -> None:
    for step in way:
        if isinstance(document, dict) and step not in document:
            return  # gone already, with what was around it
        document = document[step]
    if isinstance(document, dict):
        document.pop(name, None)
