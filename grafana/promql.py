"""Builders for the PromQL expressions of the panels."""

from __future__ import annotations

from typing import Final

#: Matchers for the dashboard's variables, on every series of the service.
SCOPE: Final = ('namespace=~"$namespace"', 'job=~"$job"')
FAILED: Final = 'http_response_status_code=~"5.."'
REQUESTS: Final = "http_server_request_duration_seconds"
ROUND_TRIPS: Final = "db_client_operation_duration_seconds"

#: Recorded over five minutes; the alerts use them.
ALL_5M: Final = "track_version:http_server_requests:rate5m"
FAILED_5M: Final = "track_version:http_server_request_errors:rate5m"
FAILED_RATIO_5M: Final = "track_version:http_server_request_errors:ratio_rate5m"


def select(metric: str, *where: str) -> str:
    """Return a selector of the service's series with further matchers ``where``."""
    return f"{metric}{{{', '.join([*SCOPE, *where])}}}"


def rate(counter: str, *where: str) -> str:
    return f"rate({select(counter, *where)}[$__rate_interval])"


def over(operator: str, inner: str, *by: str) -> str:
    """Return an aggregation by the labels ``by``, or over everything."""
    return f"{operator} by ({', '.join(by)}) ({inner})" if by else f"{operator}({inner})"


def total(inner: str, *by: str) -> str:
    return over("sum", inner, *by)


def or_zero(part: str, whole: str, *on: str) -> str:
    """Return ``part``, with 0 for each series of ``whole`` that it lacks."""
    matching = f" on ({', '.join(on)})" if on else ""
    return f"{part} or{matching} 0 * {whole}"


def ratio(part: str, whole: str) -> str:
    """Return part ÷ whole: 0 if there is no part, no sample if there is no whole."""
    return f"({or_zero(part, whole)}) / ({whole} > 0)"


def share(counter: str, part: str, *by: str, of: tuple[str, ...] = ()) -> str:
    """Return the share of a counter's rate that matches ``part``. ``of`` restricts both."""
    return ratio(total(rate(counter, *of, part), *by), total(rate(counter, *of), *by))


def success(*by: str) -> str:
    return f"1 - {share(REQUESTS + '_count', FAILED, *by)}"


def quantile(level: float, histogram: str, *by: str) -> str:
    buckets = total(rate(f"{histogram}_bucket"), "le", *by)
    return f"histogram_quantile({level}, {buckets})"


def mean(histogram: str, *by: str) -> str:
    sums, counts = (total(rate(f"{histogram}_{suffix}"), *by) for suffix in ("sum", "count"))
    return f"{sums} / ({counts} > 0)"
