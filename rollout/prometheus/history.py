"""Readings of the past: the counters as they were at each moment of a range."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

from ..evidence.counts import CounterSnapshot
from ..runner.ports import SourceFailed
from .aggregation import aggregate
from .promql import build_promql
from .query import Query
from .response import Response, parse_response
from .source import PrometheusSource

#: Moments in one request: a response for a few hundred pods, or for seventy with native histograms,
#: then stays within its bound.
_MOMENTS: Final = 25


async def read_history(
    source: PrometheusSource,
    query: Query,
    *,
    stale_seconds: float,
    since: float,
    until: float,
    step_seconds: float,
) -> AsyncIterator[CounterSnapshot | SourceFailed]:
    """Yield the reading of each moment, or why there is none; times in Unix seconds.

    Each is what the source would have read then. Raise SourceFailed if Prometheus can't
    be queried.
    """
    promql = build_promql(query)
    count = int((until - since) / step_seconds) + 1
    for first in range(0, count, _MOMENTS):
        moments = [
            since + number * step_seconds for number in range(first, min(first + _MOMENTS, count))
        ]
        status, body = await source.post(
            "query_range",
            query=promql,
            start=f"{moments[0]:.3f}",
            end=f"{moments[-1]:.3f}",
            step=f"{step_seconds:g}",
        )
        found = _by_moment(status, body)
        for moment in moments:
            response = parse_response(200, _instant(found.get(round(moment * 1000), [])))
            yield _aggregate(response, query, stale_seconds)


def _aggregate(
    response: Response, query: Query, stale_seconds: float
) -> CounterSnapshot | SourceFailed:
    try:
        return aggregate(response, query, stale_seconds).reading
    except SourceFailed as failed:
        return failed


def _by_moment(status: int, body: bytes) -> dict[int, list[dict[str, Any]]]:
    """Return the elements of the instant vector of each moment, by its Unix time in ms."""
    if status != 200:
        parse_response(status, body)  # raises SourceFailed with Prometheus' own words
    try:
        data = json.loads(body)["data"]
        if data["resultType"] != "matrix":
            raise SourceFailed(f"the query returned a {data['resultType']}, not a matrix")
        found = defaultdict(list)
        for series in data["result"]:
            for kind, points in (("value", "values"), ("histogram", "histograms")):
                for point in series.get(points, ()):
                    element = {"metric": series["metric"], kind: point}
                    found[round(float(point[0]) * 1000)].append(element)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceFailed(
            f"the response does not have the shape of Prometheus' API ({error!r});"
            " check that the address is Prometheus"
        ) from error
    return found


def _instant(vector: list[dict[str, Any]]) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "vector", "result": vector}}
    ).encode()
