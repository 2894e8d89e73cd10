"""Responses, routes and operations as callers see them."""

from __future__ import annotations

from typing import Final

from ..layout import Row
from ..links import logs_of_route
from ..panels import graph, heatmap, limits, now, number, query
from ..promql import FAILED, REQUESTS, or_zero, over, quantile, rate, select, share, success, total

ROUTE: Final = ("http_request_method", "http_route")
BY_ROUTE: Final = "{{http_request_method}} {{http_route}}"
#: The latency objective: a bucket bound of the histogram.
OBJECTIVE_SECONDS: Final = 0.025


def overview() -> Row:
    here = total(select("kv_build_info"))
    return Row(
        "Is it answering?",
        [
            number(
                "Requests",
                "Requests answered per second, on the traffic port.",
                now(or_zero(total(rate(f"{REQUESTS}_count")), here)),
                unit="reqps",
            ),
            number(
                "Success ratio",
                "Share of requests answered without a 5xx. A 4xx is the caller's mistake.",
                now(success()),
                unit="percentunit",
                decimals=3,
                thresholds=limits((0.99, "orange"), (0.999, "green"), below="red"),
                nothing="no requests",
            ),
            number(
                "p99 latency",
                "99 % of requests took at most this long. The objective: 99 % within 25 ms.",
                now(quantile(0.99, REQUESTS)),
                unit="s",
                thresholds=limits((OBJECTIVE_SECONDS, "orange"), (0.1, "red")),
                nothing="no requests",
            ),
            number(
                "Requests in flight",
                "Requests in progress. A pod refuses requests above KV_MAX_IN_FLIGHT.",
                now(total(select("http_server_active_requests"))),
                unit="short",
                decimals=0,
            ),
            number(
                "Pods ready",
                "Pods whose /readyz answers 200, and all that are scraped.",
                now(total(select("kv_ready")), "ready"),
                now(over("count", select("kv_build_info")), "of"),
                unit="short",
                decimals=0,
                nothing="no pods",
            ),
            number(
                "Availability budget left",
                "What is left of the 30 days' allowance; below 0 the objective is missed.",
                now(
                    over(
                        "min",
                        select("slo:period_error_budget_remaining:ratio", 'slo="kv-availability"'),
                    )
                ),
                unit="percentunit",
                decimals=1,
                thresholds=limits((0, "orange"), (0.25, "green"), below="red"),
            ),
        ],
    )


def routes() -> Row:
    count = f"{REQUESTS}_count"
    return Row(
        "Which routes are busy, failing or slow?",
        [
            graph(
                "Request rate by route",
                "Requests per second by method and route template. unmatched: no such route.",
                query(total(rate(count), *ROUTE), BY_ROUTE),
                unit="reqps",
                table=True,
                links=[logs_of_route()],
            ),
            graph(
                "Error ratio by route",
                "Share of a route's requests answered 5xx. A route without failures has 0 %.",
                query(share(count, FAILED, *ROUTE), BY_ROUTE),
                unit="percentunit",
                table=True,
                links=[logs_of_route()],
            ),
            graph(
                "Responses by status",
                "Responses per second by exact status.",
                query(
                    total(rate(count), "http_response_status_code"), "{{http_response_status_code}}"
                ),
                unit="reqps",
                table=True,
                stacked=True,
            ),
            graph(
                "Latency quantiles",
                "50 %, 95 % and 99 % of requests took at most this long. A dot is a trace: "
                "click it. The line is the objective, 25 ms.",
                query(quantile(0.5, REQUESTS), "p50"),
                query(quantile(0.95, REQUESTS), "p95"),
                query(quantile(0.99, REQUESTS), "p99", exemplars=True),
                unit="s",
                thresholds=limits((OBJECTIVE_SECONDS, "orange")),
            ),
            graph(
                "p99 latency by route",
                "The slowest 1 % of each route's requests took longer than this.",
                query(quantile(0.99, REQUESTS, *ROUTE), BY_ROUTE),
                unit="s",
                table=True,
                thresholds=limits((OBJECTIVE_SECONDS, "orange")),
                links=[logs_of_route()],
            ),
            heatmap(
                "Latency heatmap",
                "How many requests took how long. Two bands are two kinds of requests. "
                "A dot is one traced request: click it for its trace.",
                total(rate(f"{REQUESTS}_bucket"), "le"),
            ),
        ],
    )


def operations() -> Row:
    done = "kv_operations_total"
    return Row(
        "What do callers ask of it?",
        [
            graph(
                "Operations by kind",
                "Operations on entries and counters per second. Each operation of a batch counts.",
                query(total(rate(done), "operation"), "{{operation}}"),
                unit="ops",
                width=6,
                table=True,
            ),
            graph(
                "Operations by result",
                "Results of operations. A miss or a conflict is an answer, an error is a failure.",
                query(total(rate(done), "result"), "{{result}}"),
                unit="ops",
                width=6,
                table=True,
            ),
            graph(
                "Read hit ratio",
                "Share of reads that found an entry or counter.",
                query(
                    share(done, 'result="hit"', "operation", of=('result=~"hit|miss"',)),
                    "{{operation}}",
                ),
                unit="percentunit",
                width=6,
                most=1,
            ),
            graph(
                "Conflict ratio by operation",
                "Share of changes refused by a precondition, a bound or a used idempotency key.",
                query(
                    share(
                        done,
                        'result="conflict"',
                        "operation",
                        of=('operation!~"read.*|list.*"',),
                    ),
                    "{{operation}}",
                ),
                unit="percentunit",
                width=6,
            ),
        ],
    )
