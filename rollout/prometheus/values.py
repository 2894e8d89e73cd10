"""The values of any expression at one moment: for what others ask Prometheus."""

from __future__ import annotations

import json

from ..runner.ports import SourceFailed
from .response import parse_response
from .source import PrometheusSource


async def read_values(source: PrometheusSource, promql: str, at: float) -> list[float]:
    """Return the values of an instant vector or of a scalar, which may be NaN.

    ``at`` is Unix time in seconds. Raise SourceFailed if it can't be evaluated.
    """
    status, body = await source.post("query", query=promql, time=f"{at:.3f}")
    if status != 200:
        parse_response(status, body)  # raises SourceFailed with Prometheus' own words
    try:
        data = json.loads(body)["data"]
        if data["resultType"] == "scalar":
            return [float(data["result"][1])]
        return [float(each["value"][1]) for each in data["result"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceFailed(
            f"the response is neither a vector nor a number ({error!r}); check the expression"
            f" {promql!r}"
        ) from error
