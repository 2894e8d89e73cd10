"""Where the evidence of a rollout is: a Prometheus, its metrics, and the label of the releases."""

from __future__ import annotations

import argparse
import os

from ..plan.loading import LoadedPlan
from ..prometheus.query import Query, ReleaseLabel, app_query, istio_query
from ..prometheus.release_label import arms_of, services_of_plan
from ..prometheus.source import PrometheusServer
from .arguments import parse_seconds
from .exit_codes import UsageError


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the Prometheus and what to read there."""
    parser.add_argument(
        "--prometheus", metavar="URL", required=True, help="address of the Prometheus server"
    )
    parser.add_argument(
        "--metrics",
        choices=("istio", "app"),
        default="istio",
        help="istio: metrics of the proxies, as clients see it; app: metrics of the service itself"
        " (default: istio)",
    )
    parser.add_argument(
        "--label",
        metavar="NAME=STABLE,CANARY[,BASELINE]",
        help="metric label that names the release, and its two values (default:"
        " destination_workload, or destination_service_name if the releases are Services; with app"
        " a label of the subsets)",
    )
    parser.add_argument(
        "--reporter",
        choices=("source", "waypoint"),
        default="source",
        help="whose metrics of Istio: those of the callers' proxies, or of ambient's waypoints"
        " (default: source)",
    )
    parser.add_argument(
        "--stale",
        type=parse_seconds,
        default=60.0,
        metavar="TIME",
        help="ignore samples that are older (default: 60s)",
    )


def server_of(arguments: argparse.Namespace) -> PrometheusServer:
    """Return the Prometheus that the arguments and PROMETHEUS_TOKEN select."""
    return PrometheusServer(
        url=arguments.prometheus,
        token=os.environ.get("PROMETHEUS_TOKEN", ""),
        stale_seconds=arguments.stale,
    )


def question_of(arguments: argparse.Namespace, loaded: LoadedPlan) -> Query:
    """Return the query of a plan's releases; raise PlanInvalid or UsageError."""
    plan = loaded.plan
    edges = plan.objective.slow_seconds
    arms = parse_label(arguments.label) if arguments.label else arms_of(loaded, arguments.metrics)
    if arguments.metrics == "app":
        return app_query(plan.namespace, arms, edges)
    services = services_of_plan(plan)
    names = [each.name for each in services]
    return istio_query(names, services[0].namespace, arms, edges, arguments.reporter)


def parse_label(text: str) -> ReleaseLabel:
    """Parse ``NAME=STABLE,CANARY`` or ``NAME=STABLE,CANARY,BASELINE``; raise UsageError."""
    name, _, values = text.partition("=")
    arms = values.split(",")
    known = name.isidentifier() and len(arms) in {2, 3} and all(arms)
    if not known or len(set(arms)) != len(arms):
        raise UsageError(f"--label {text}: write it as NAME=STABLE,CANARY[,BASELINE]")
    return ReleaseLabel(name, *arms)
