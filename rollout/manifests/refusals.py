"""Why a part of a manifest is refused, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic_core import PydanticCustomError

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


class Reason(StrEnum):
    """The ids under which the linter lists refusals."""

    UNKNOWN_FIELD = "unknown-field"
    UNSUPPORTED_FIELD = "unsupported-field"
    UNSUPPORTED_VALUE = "unsupported-value"
    UNKNOWN_KIND = "unknown-kind"
    UNSUPPORTED_KIND = "unsupported-kind"
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
class Refusal:
    """One part that is not taken: where it stands, what is wrong, what to do."""

    reason: Reason
    path: str
    what: str
    remedy: str


def refuse(reason: Reason, what: str, remedy: str) -> PydanticCustomError:
    """Build the error that a validator raises; the path is where the validator stands."""
    return PydanticCustomError(reason.value, "{what}", {"what": what, "remedy": remedy})


def render_path(steps: Iterable[str | int]) -> str:
    """Render a JSON path: ``spec.http[1].route[0].weight``."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            path += f".{step}" if path else step
        else:
            path += f'["{step}"]'
    return path
