"""The error budget, and errors that only the mesh sees."""

from __future__ import annotations

from typing import Final

from ..layout import Row
from ..panels import TALL, graph, limits, now, number, query
from ..promql import ALL_5M, FAILED_5M, FAILED_RATIO_5M, or_zero, over, select, total
from .versions import VERSION, by_version

#: The long windows of the alerts, and 5m, which shows whether a fault continues.
BURN_WINDOWS: Final = ("5m", "1h", "6h", "1d", "3d")


def budget() -> Row:
    # The mesh's objective is per namespace and has no job.
    objectives = '{namespace=~"$namespace", job=~"$job|"}'
    left = over("min", f"slo:period_error_budget_remaining:ratio{objectives}", "slo")
    allowed = f"slo:error_budget:ratio{objectives}"
    available = select("slo:error_budget:ratio", 'slo="kv-availability"')
    burn = limits((1, "yellow"), (3, "orange"), (6, "red"), (14.4, "dark-red"))

    def burning(window: str) -> str:
        seen = f"slo:sli_error:ratio_rate{window}{objectives}"
        return over("max", f"{seen} / on (namespace, job, slo) {allowed}", "slo")

    return Row(
        "How fast does the error budget go?",
        [
            number(
                "Error budget left",
                "What is left of the 30 days' allowance; below 0 the objective is missed.",
                now(left, "{{slo}}"),
                unit="percentunit",
                width=6,
                height=TALL,
                decimals=1,
                thresholds=limits((0, "orange"), (0.25, "green"), below="red"),
            ),
            graph(
                "Error budget left over time",
                "A slope is a constant loss, a step is an incident.",
                query(left, "{{slo}}"),
                unit="percentunit",
                width=6,
                least=None,
                most=1,
                thresholds=limits((0, "red")),
            ),
            graph(
                "Burn rate by window",
                "At burn rate 1 the budget lasts 30 days. Pages: above 14.4 over 1h or 6 over 6h; "
                "tickets: above 3 over 1d or 1 over 3d.",
                *(query(burning(window), f"{{{{slo}}}} {window}") for window in BURN_WINDOWS),
                unit="short",
                width=6,
                table=True,
                thresholds=burn,
            ),
            by_version(
                "Burn rate by version",
                "The burn rate of availability if all traffic had this version's error ratio, over "
                "five minutes.",
                over(
                    "max",
                    f"{select(FAILED_RATIO_5M)} / on (namespace, job) group_left () {available}",
                    *VERSION,
                ),
                unit="short",
                thresholds=burn,
            ),
        ],
    )


def mesh() -> Row:
    scope = 'namespace=~"$namespace"'
    mesh_all = total(f"track_version:istio_requests:rate5m{{{scope}}}", "version")
    mesh_failed = total(f"track_version:istio_request_errors:rate5m{{{scope}}}", "version")
    own_all = total(select(ALL_5M), "version")
    own_failed = total(select(FAILED_5M), "version")
    to_kv = (
        'reporter=~"source|waypoint", destination_service_name="kv",'
        ' destination_service_namespace=~"$namespace"'
    )
    flagged = f'rate(istio_requests_total{{{to_kv}, response_code=~"0|5.."}}[$__rate_interval])'
    every = f"rate(istio_requests_total{{{to_kv}}}[$__rate_interval])"
    return Row(
        "Which errors does only the mesh see?",
        [
            graph(
                "Error ratio, mesh and service",
                "Share of 5xx as the callers' proxies and as the service counted them. Without a "
                "mesh, only the service's.",
                query(f"{mesh_failed} / ({mesh_all} > 0)", "mesh {{version}}"),
                query(f"{own_failed} / ({own_all} > 0)", "service {{version}}"),
                unit="percentunit",
            ),
            graph(
                "Errors that only the mesh saw",
                "5xx per second of the mesh minus those of the service. Above 0: requests fail "
                "outside the service (no pod, reset, timeout; unknown reached no pod). Below 0: "
                "retries hid failures.",
                query(f"{mesh_failed} - ({or_zero(own_failed, mesh_failed)})", "{{version}}"),
                unit="reqps",
                least=None,
            ),
            graph(
                "Mesh errors by response flag",
                "Why proxies failed requests: UF no connection, UH no healthy pod, UO circuit "
                "breaker open, UT timeout, URX retries used up, DC caller disconnected; - means "
                "that the service answered so.",
                query(
                    or_zero(
                        total(flagged, "destination_version", "response_flags"),
                        total(every, "destination_version"),
                        "destination_version",
                    ),
                    "{{destination_version}} {{response_flags}}",
                ),
                unit="reqps",
                table=True,
            ),
        ],
    )
