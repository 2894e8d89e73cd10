"""Traffic, errors and latency of stable and canary as callers see them."""

from __future__ import annotations

from typing import Final

from ..layout import Row
from ..links import logs_of_route
from ..panels import dashed, graph, heatmap, limits, now, number, query, track_colours
from ..promql import (
    ALL_5M,
    FAILED,
    FAILED_5M,
    REQUESTS,
    or_zero,
    over,
    quantile,
    rate,
    select,
    success,
    total,
)
from .versions import BY_VERSION, COUNT, QUANTILES, VERSION, by_version

#: Includes alerts without a namespace, such as KVTargetAbsent for all of them.
ALERTS: Final = 'ALERTS{alertname=~"KV.*", alertstate="firing", namespace=~"$namespace|"}'


def verdict() -> Row:
    def errors(track: str) -> str:
        failed, every = (total(select(m, f'track="{track}"')) for m in (FAILED_5M, ALL_5M))
        return f"{failed} / ({every} > 0)"

    def latency(name: str, track: str) -> str:
        recorded = f"track_version:{REQUESTS}:{name}_5m"
        return over("max", select(recorded, f'track="{track}"'))

    return Row(
        "Is the canary as good as stable?",
        [
            number(
                "Canary minus stable: error ratio",
                "Percentage points of 5xx the canary has more than stable, over five minutes.",
                now(f"{errors('canary')} - {errors('stable')}", "errors"),
                unit="percentunit",
                width=5,
                decimals=2,
                thresholds=limits((0.001, "orange"), (0.005, "red")),
                nothing="no comparison",
            ),
            number(
                "Canary minus stable: latency",
                "Seconds the canary's quantiles lie above stable's, over five minutes.",
                *(
                    now(f"{latency(name, 'canary')} - {latency(name, 'stable')}", name)
                    for name in QUANTILES
                ),
                unit="s",
                width=9,
                thresholds=limits((0.005, "orange"), (0.025, "red")),
                nothing="no comparison",
            ),
            number(
                "Canary requests behind the comparison",
                "Requests to the canary in those five minutes. With few, the comparison is weak.",
                now("300 * " + total(select(ALL_5M, 'track="canary"'))),
                unit="short",
                width=5,
                decimals=0,
                thresholds=limits((100, "orange"), (1000, "green"), below="red"),
                nothing="none",
            ),
            number(
                "Alerts firing",
                "Alerts of tallykv that are firing now; red marks on the graphs name them.",
                now(f"count({ALERTS}) or vector(0)"),
                unit="short",
                width=5,
                decimals=0,
                thresholds=limits((1, "red")),
            ),
        ],
    )


def split() -> Row:
    every = f"({total(rate(COUNT))} > 0)"
    idle = total(select("kv_build_info"), "track")
    actual = or_zero(f"{total(rate(COUNT), 'track')} / on () group_left () {every}", idle)
    return Row(
        "Does the traffic split as desired?",
        [
            graph(
                "Share of traffic, desired and actual",
                "The share each track gets, and should get if tallykv-rollout exports it. "
                "Choose one namespace: shares of several can't be compared.",
                query(actual, "{{track}}"),
                query(
                    'max by (track) (kv_rollout_weight_ratio{namespace=~"$namespace"})',
                    "{{track}} desired",
                ),
                unit="percentunit",
                width=12,
                most=1,
                overrides=[*track_colours(), dashed("/ desired$/")],
            ),
            by_version(
                "Request rate by version",
                "Requests per second that each version answered; 0 for pods without traffic.",
                or_zero(total(rate(COUNT), *VERSION), total(select("kv_build_info"), *VERSION)),
                unit="reqps",
                width=12,
            ),
        ],
    )


def versions() -> Row:
    everything = total(rate(COUNT), *VERSION)
    detail = (*VERSION, "http_route", "http_response_status_code")
    return Row(
        "Which version fails or is slow?",
        [
            by_version(
                "Success ratio by version",
                "Share of requests answered without a 5xx; no value without traffic.",
                success(*VERSION),
                unit="percentunit",
                least=None,
                most=1,
            ),
            *(
                by_version(
                    f"{name} latency by version",
                    f"{level * 100:g} % of a version's requests took at most this long.",
                    quantile(level, REQUESTS, *VERSION),
                    unit="s",
                )
                for name, level in QUANTILES.items()
            ),
            graph(
                "Errors by version, route and status",
                "5xx per second; 0 for a version without any.",
                query(
                    or_zero(total(rate(COUNT, FAILED), *detail), everything, *VERSION),
                    f"{BY_VERSION} {{{{http_response_status_code}}}} {{{{http_route}}}}",
                ),
                unit="reqps",
                table=True,
                overrides=track_colours(),
                links=[logs_of_route()],
            ),
            *(
                heatmap(
                    f"Latency of {track}",
                    "How many requests took how long. A dot is one traced request.",
                    total(rate(f"{REQUESTS}_bucket", f'track="{track}"'), "le"),
                )
                for track in ("stable", "canary")
            ),
        ],
    )
