"""Prometheus' answer, read strictly: anything short of a whole and sound one is refused. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..runner.ports import SourceFailed

#: What to do about a status; of those below 500 that aren't here, there is only what it says.
_REMEDIES: Final = {
    401: "it wants other credentials: check the token",
    403: "the token may not query: grant it, or check the namespace it is for",
    404: "there is no query API at that address: give Prometheus' own, without /api",
    422: "it could not evaluate the expression",
    429: "too many queries: poll less often, or raise its limit",
    502: "what stands before it can't reach it",
    503: "it is overloaded or starting: try again, or poll less often",
    504: "the query took too long: poll less often, or narrow it by job",
}


@dataclass(frozen=True, slots=True)
class Row:
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Answer:
    """``at`` is the evaluation's time by Prometheus' own clock, None of an answer without rows."""

    rows: tuple[Row, ...]
    at: float | None


def parse_answer(status: int, body: bytes) -> Answer:
    """Read the answer to an instant query; raise SourceFailed."""
    document = _document(status, body)
    if status != 200 or document.get("status") != "success":
        said = document.get("error") or f"HTTP {status}"
        raise SourceFailed(f"Prometheus refused the query: {said}{_remedy(status)}")
    if warnings := document.get("warnings"):
        raise SourceFailed(
            f"Prometheus warns that its answer may not be whole: {warnings}; see what it reads from"
        )
    try:
        data = document["data"]
        if data["resultType"] != "vector":
            raise SourceFailed(f"Prometheus answered with a {data['resultType']}, not a vector")
        rows = tuple(_row(each) for each in data["result"])
        times = {float(each["value"][0]) for each in data["result"]}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SourceFailed(
            f"Prometheus' answer has another shape than its API's ({error!r}); is it one?"
        ) from error
    return Answer(rows, max(times, default=None))


def _document(status: int, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if status != 200:
            raise SourceFailed(f"Prometheus answers HTTP {status}{_remedy(status)}")
        raise SourceFailed("what answers is no Prometheus: not a JSON object; check the address")
    return document


def _remedy(status: int) -> str:
    if status in _REMEDIES:
        return f"; {_REMEDIES[status]}"
    return "; see its log" if status >= 500 else ""


def _row(each: Mapping[str, Any]) -> Row:
    labels = {str(name): str(value) for name, value in each["metric"].items()}
    value = float(each["value"][1])
    if not math.isfinite(value):
        raise SourceFailed(f"a counter reads {each['value'][1]} at {labels}; see what exports it")
    return Row(labels, value)
