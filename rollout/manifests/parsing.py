"""Parse one object of Istio's or the Gateway API's and report all of its field errors at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .field_errors import FieldError, Reason
from .json_path import PathSegments, render_path
from .kinds import ISTIO_GROUP_SUFFIX, OTHERS, SUPPORTED, SupportedKind
from .metadata import DEFAULT_NAMESPACE, IstioObject
from .not_modelled import NotModelledField
from .strict_model import ConvertedFrom, StrictModel, models_of
from .untyped import mapping_or_empty, text_or_none

_REASONS: Final = {reason.value: reason for reason in Reason}
#: The beginnings or ends of pydantic's error types for a value of the right type, out of range.
_VALUE_ERRORS: Final = (
    "literal_error",
    "greater_than",
    "less_than",
    "string_too_short",
    "string_too_long",
    "too_long",
    "finite_number",
)
#: YAML's words for the types of pydantic's errors.
_TYPES: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "a text: put it in quotes",
    "tuple_type": "a list",
}
#: The same for types of errors that name a length.
_LENGTHS: Final = {
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of {max_length} or fewer characters",
    "too_long": "a list or mapping of {max_length} or fewer items",
}


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """A parsed object and its field errors.

    ``manifest`` is None if there are errors. ``partial`` is the object without the invalid fields,
    so that other rules can still check it; it is None if a required field is invalid.
    ``not_modelled`` are its valid fields that nothing interprets.
    """

    errors: tuple[FieldError, ...]
    manifest: IstioObject | None = None
    partial: IstioObject | None = None
    not_modelled: tuple[NotModelledField, ...] = ()


def is_istio(api_version: str) -> bool:
    """Return True if an ``apiVersion`` is of one of Istio's API groups."""
    return api_version.partition("/")[0].endswith(ISTIO_GROUP_SUFFIX)


def is_modelled(api_version: str, kind: str) -> bool:
    """Return True for Istio's API groups, and for the kinds of the Gateway API with a model."""
    return is_istio(api_version) or (api_version.partition("/")[0], kind) in SUPPORTED


def parse_manifest(
    document: Mapping[str, Any], default_namespace: str = DEFAULT_NAMESPACE
) -> ParsedManifest:
    """Parse an object of Istio's or the Gateway API's.

    An object without a namespace gets ``default_namespace``.
    """
    group, _, version = str(document["apiVersion"]).partition("/")
    kind = str(document["kind"])
    if other := OTHERS.get((group, kind)):
        return ParsedManifest((), not_modelled=(NotModelledField("", other),))
    supported = SUPPORTED.get((group, kind))
    if supported is None or version not in supported.versions:
        return ParsedManifest((_kind_error(group, version, kind, supported),))
    namespaced = _with_namespace(document, default_namespace)
    try:
        manifest = _validated(supported.model, namespaced)
    except ValidationError as error:
        details = _without_consequences(error.errors(include_url=False, include_input=False))
        errors = tuple(_field_error(supported.model, each) for each in details)
        partial = _parse_rest(supported.model, namespaced, details)
        return ParsedManifest(errors, None, partial, _not_modelled(supported, partial))
    return ParsedManifest((), manifest, manifest, _not_modelled(supported, manifest))


def _validated(model: type[IstioObject], document: Mapping[str, Any]) -> IstioObject:
    namespace = text_or_none(mapping_or_empty(document.get("metadata")).get("namespace"))
    return model.model_validate_json(
        json.dumps(document), context={"namespace": namespace}
    ).with_paths()


def _not_modelled(
    supported: SupportedKind, manifest: IstioObject | None
) -> tuple[NotModelledField, ...]:
    kind = supported.not_modelled
    return (
        *([NotModelledField("", kind)] if kind else ()),
        *(manifest.not_modelled() if manifest else ()),
    )


def _kind_error(group: str, version: str, kind: str, supported: SupportedKind | None) -> FieldError:
    if supported:
        return FieldError(
            Reason.UNKNOWN_KIND,
            "apiVersion",
            f"{group} has no version {version} of {kind}",
            f"write {group}/{supported.versions[0]}",
        )
    known = (*SUPPORTED, *OTHERS)
    if elsewhere := [its_group for its_group, its_kind in known if its_kind == kind]:
        remedy = f"did you mean the group {elsewhere[0]}?"
    else:
        kinds = [its_kind for its_group, its_kind in known if its_group == group]
        remedy = _did_you_mean(kind, kinds) or _use_one_of(name for _, name in SUPPORTED)
    return FieldError(Reason.UNKNOWN_KIND, "kind", f"{group} has no kind {kind}", remedy)


def _with_namespace(document: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("namespace"):
        return dict(document)
    return {**document, "metadata": {**metadata, "namespace": namespace}}


def _without_consequences(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out the error of a list that is too short only because its items are invalid."""
    paths = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(path[: len(error["loc"])] == error["loc"] != path for path in paths)
    ]


def _segments(error: ErrorDetails) -> PathSegments:
    # pydantic appends "[key]" to the path of an invalid key; the path already names the key.
    path = tuple(segment for segment in error["loc"] if segment != "[key]")
    return (*path, *error.get("ctx", {}).get("at", ()))


def _field_error(model: type[StrictModel], error: ErrorDetails) -> FieldError:
    segments = _segments(error)
    path = render_path(segments)
    kind = error["type"]
    if reason := _REASONS.get(kind):
        return FieldError(reason, path, error["msg"], error["ctx"]["remedy"])
    if kind == "extra_forbidden":
        return unknown_field(segments, _fields_at(model, segments[:-1]))
    if kind == "missing":
        return missing_field(segments)
    if kind == "too_short":
        return FieldError(Reason.MISSING_FIELD, path, "the list is empty", "add an item")
    if length := _LENGTHS.get(kind):
        expected = length.format(**error["ctx"])
    else:
        expected = _TYPES.get(kind) or error["msg"].removeprefix("Input should be ")
    if kind.startswith(_VALUE_ERRORS) or kind.endswith(_VALUE_ERRORS):
        return bad_value(segments, f"it must be {expected}")
    return wrong_type(segments, f"it must be {expected}")


def unknown_field(segments: PathSegments, fields: Sequence[str]) -> FieldError:
    """Build the error of a field that does not exist; ``fields`` are those that do."""
    name = str(segments[-1])
    remedy = _did_you_mean(name, fields) or _use_one_of(fields)
    what = f'there is no field "{name}"'
    return FieldError(Reason.UNKNOWN_FIELD, render_path(segments), what, remedy)


def missing_field(segments: PathSegments) -> FieldError:
    """Build the error of a required field that is absent."""
    what = "the required field is missing"
    return FieldError(Reason.MISSING_FIELD, render_path(segments), what, "add it")


def wrong_type(segments: PathSegments, remedy: str) -> FieldError:
    """Build the error of a value of the wrong type."""
    return FieldError(
        Reason.WRONG_TYPE, render_path(segments), "the value has the wrong type", remedy
    )


def bad_value(segments: PathSegments, remedy: str) -> FieldError:
    """Build the error of a value that its field does not allow."""
    return FieldError(Reason.BAD_VALUE, render_path(segments), "the value is not allowed", remedy)


def _use_one_of(names: Iterable[str]) -> str:
    return "use one of: " + ", ".join(sorted(set(names)))


def _did_you_mean(written: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""


def _fields_at(model: type[StrictModel], path: PathSegments) -> list[str]:
    """Return the names of the fields of the model at ``path``."""
    models = [model]
    for segment in path:
        below: list[type[StrictModel]] = []
        for one in models:
            for name, field in one.model_fields.items():
                if segment in (field.alias, name):
                    converted = [it.model for it in field.metadata if isinstance(it, ConvertedFrom)]
                    below += converted or list(models_of(field.annotation))
        # An index of a list or a key of a mapping leads to the models that were found already.
        models = below or models
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _parse_rest(
    model: type[IstioObject], document: Mapping[str, Any], errors: list[ErrorDetails]
) -> IstioObject | None:
    """Parse the document without its invalid fields; return None if it is still invalid."""
    rest: Any = deepcopy(document)
    for error in errors:
        *path, last = _segments(error)
        if not isinstance(last, str) or error["type"] == "missing":
            return None
        _remove(rest, path, last)
    try:
        return _validated(model, rest)
    except ValidationError:
        return None


def _remove(document: Any, path: Sequence[str | int], name: str) -> None:
    for segment in path:
        if isinstance(document, dict) and segment not in document:
            return  # It was removed together with the mapping around it.
        document = document[segment]
    if isinstance(document, dict):
        document.pop(name, None)
