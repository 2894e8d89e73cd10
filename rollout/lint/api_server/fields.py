"""Reads fields of unvalidated documents, and reports what a single value must not be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError, Reason
from ...manifests.json_path import PathSegments, render_path
from ...manifests.names import is_kubernetes_label, is_label_key, is_label_value
from ...manifests.untyped import list_or_empty, mapping_or_empty

_SERVICE_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9](?:-?[a-z0-9])*")
_PERCENT: Final = re.compile(r"\d+%")
_OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


def bad(path: PathSegments, what: str, remedy: str) -> FieldError:
    """Build the error of a value that the API server refuses."""
    return FieldError(Reason.BAD_VALUE, render_path(path), what, remedy)


def missing(path: PathSegments, what: str, remedy: str) -> FieldError:
    """Build the error of a field that the API server requires here."""
    return FieldError(Reason.MISSING_FIELD, render_path(path), what, remedy)


def items_of(value: Any, path: PathSegments) -> Iterator[tuple[PathSegments, Mapping[str, Any]]]:
    """Yield the mappings of a list with their paths."""
    for index, each in enumerate(list_or_empty(value)):
        if isinstance(each, dict):
            yield (*path, index), each


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_port(value: Any, path: PathSegments, least: int = 1) -> Iterator[FieldError]:
    """Check a number of a port; other types are the schema's business."""
    if is_whole(value) and not least <= value <= 65535:
        yield bad(path, f"{value} is not a port", f"use {least} to 65535")


def check_port_name(value: Any, path: PathSegments) -> Iterator[FieldError]:
    """Check the name of a container's port."""
    if isinstance(value, str) and not (len(value) <= 15 and _SERVICE_NAME.fullmatch(value)):
        yield bad(
            path,
            f'"{value}" is not the name of a port',
            "use up to 15 of a-z, 0-9 and single -, with at least one letter",
        )


def check_target_port(value: Any, path: PathSegments) -> Iterator[FieldError]:
    """Check a port that is a number or the name of a container's port."""
    yield from check_port(value, path)
    yield from check_port_name(value, path)


def check_label_name(value: Any, path: PathSegments) -> Iterator[FieldError]:
    """Check a name that must be a DNS label."""
    if isinstance(value, str) and not is_kubernetes_label(value):
        yield bad(
            path,
            f'"{value}" is not a name here',
            "use up to 63 of a-z, 0-9 and -; begin and end with a letter or a digit",
        )


def check_labels(value: Any, path: PathSegments) -> Iterator[FieldError]:
    for key, each in mapping_or_empty(value).items():
        if not is_label_key(key):
            yield bad(
                (*path, key), f'"{key}" is not the key of a label', "write NAME or DOMAIN/NAME"
            )
        if isinstance(each, str) and not is_label_value(each):
            yield bad(
                (*path, key),
                f'"{each}" is not the value of a label',
                "use up to 63 of a-z, A-Z, 0-9, -, _ and .; begin and end with a letter or a digit",
            )


def check_selector(value: Any, path: PathSegments) -> Iterator[FieldError]:
    """Check a selector with ``matchLabels`` and ``matchExpressions``."""
    selector = mapping_or_empty(value)
    yield from check_labels(selector.get("matchLabels"), (*path, "matchLabels"))
    for at, each in items_of(selector.get("matchExpressions"), (*path, "matchExpressions")):
        operator, values = each.get("operator"), list_or_empty(each.get("values"))
        if isinstance(operator, str) and operator not in _OPERATORS:
            yield bad((*at, "operator"), f'"{operator}" is not an operator', "use In or NotIn")
        elif operator in {"In", "NotIn"} and not values:
            yield missing((*at, "values"), f"{operator} needs values", "add them")
        elif operator in {"Exists", "DoesNotExist"} and values:
            yield bad((*at, "values"), f"{operator} has no values", "remove them")


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Return True if a selector with ``matchLabels`` and ``matchExpressions`` selects labels."""
    given = mapping_or_empty(selector)
    if any(labels.get(k) != v for k, v in mapping_or_empty(given.get("matchLabels")).items()):
        return False
    for _, each in items_of(given.get("matchExpressions"), ()):
        value, values = labels.get(str(each.get("key"))), list_or_empty(each.get("values"))
        match each.get("operator"):
            case "In" if value not in values:
                return False
            case "NotIn" if value is not None and value in values:
                return False
            case "Exists" if value is None:
                return False
            case "DoesNotExist" if value is not None:
                return False
    return True


def check_least(
    mapping: Mapping[str, Any], path: PathSegments, *names: str, least: int = 0
) -> Iterator[FieldError]:
    """Check that some whole numbers are not too small."""
    for name in names:
        value = mapping.get(name)
        if isinstance(value, int) and value < least and is_whole(value):
            yield bad((*path, name), f"{value} is too small", f"set it to {least} or more")


def check_count_or_percent(value: Any, path: PathSegments) -> Iterator[FieldError]:
    negative = is_whole(value) and value < 0
    if negative or (isinstance(value, str) and not _PERCENT.fullmatch(value)):
        yield bad(path, f"{value} is neither a number nor a percentage", "write it like 1 or 25%")
