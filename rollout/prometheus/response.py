"""Parse the response to an instant query, and reject an incomplete or invalid one. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..runner.ports import SourceFailed
from .native_histogram import NativeHistogram, parse_histogram

#: What to do about an HTTP status. The other statuses below 500 need no more than their message.
_REMEDIES: Final = {
    401: "the credentials are wrong: check the token",
    403: "the token may not query: grant it, or check which namespace it is for",
    404: "there is no query API at that address: give Prometheus' own address, without /api",
    422: "it could not evaluate the expression: see its log",
    429: "too many queries: poll less often, or raise its limit",
    502: "the proxy in front of it can't reach it",
    503: "it is overloaded or starting: try again, or poll less often",
    504: "the query took too long: poll less often, or narrow it by job",
}


@dataclass(frozen=True, slots=True)
class VectorSample:
    """One element of an instant vector; of a native histogram, ``value`` is the count."""

    labels: Mapping[str, str]
    value: float
    histogram: NativeHistogram | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """``at`` is the evaluation time by Prometheus' clock, None if the vector is empty."""

    vector: tuple[VectorSample, ...]
    at: float | None


def parse_response(status: int, body: bytes) -> Response:
    """Parse an HTTP response from ``/api/v1/query``; raise SourceFailed."""
    document = _document(status, body)
    if status != 200 or document.get("status") != "success":
        error = document.get("error") or f"HTTP {status}"
        raise SourceFailed(f"Prometheus refused the query: {error}{_remedy(status)}")
    if warnings := document.get("warnings"):
        raise SourceFailed(
            f"Prometheus warns that its result may be incomplete: {warnings}; check the stores it"
            " reads from"
        )
    try:
        data = document["data"]
        if data["resultType"] != "vector":
            raise SourceFailed(
                f"the query returned a {data['resultType']}, not a vector; check that the address"
                " is Prometheus"
            )
        vector = tuple(_sample(each) for each in data["result"])
        times = {float(_point(each)[0]) for each in data["result"]}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SourceFailed(
            f"the response does not have the shape of Prometheus' API ({error!r});"
            " check that the address is Prometheus"
        ) from error
    return Response(vector, max(times, default=None))


def _document(status: int, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if status != 200:
            raise SourceFailed(f"Prometheus answered HTTP {status}{_remedy(status)}")
        raise SourceFailed("this is no Prometheus: not a JSON object; check the address")
    return document


def _remedy(status: int) -> str:
    if status in _REMEDIES:
        return f"; {_REMEDIES[status]}"
    return "; see its log" if status >= 500 else ""


def _point(element: Mapping[str, Any]) -> Any:
    """Return the time of a sample, and its value or its native histogram."""
    return element["histogram"] if "histogram" in element else element["value"]


def _sample(element: Mapping[str, Any]) -> VectorSample:
    labels = {str(name): str(value) for name, value in element["metric"].items()}
    if "histogram" in element:
        histogram = parse_histogram(element["histogram"][1])
        return VectorSample(labels, histogram.count, histogram)
    value = float(element["value"][1])
    if not math.isfinite(value):
        raise SourceFailed(
            f"a counter reads {element['value'][1]} at {labels}; see what exports it"
        )
    return VectorSample(labels, value)
