"""Errors of the fields of a manifest: which rule a field breaks, its path, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic_core import PydanticCustomError

from .json_path import PathSegments


class Reason(StrEnum):
    """Why a field is invalid. Each value is the id of a lint rule."""

    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_KIND = "unknown-kind"
    MISSING_FIELD = "missing-field"
    WRONG_TYPE = "wrong-type"
    BAD_VALUE = "bad-value"
    BAD_DURATION = "bad-duration"
    BAD_REGEX = "bad-regex"
    MATCH_KINDS = "match-kinds"
    NEGATIVE_WEIGHT = "negative-weight"
    ZERO_WEIGHTS = "zero-weights"
    ROUTE_ACTIONS = "route-actions"
    RETRIES_CONTRADICT = "retries-contradict"


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid field: its JSON path, what is wrong with it, and how to repair it."""

    reason: Reason
    path: str
    what: str
    remedy: str


def field_error(
    reason: Reason, what: str, remedy: str, at: PathSegments = ()
) -> PydanticCustomError:
    """Build the exception that a pydantic validator raises; pydantic adds the path.

    ``at`` leads from the validated value to the field that is meant.
    """
    context = {"what": what, "remedy": remedy, "at": at}
    return PydanticCustomError(reason.value, "{what}", context)
