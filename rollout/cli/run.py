"""The subcommand ``run``: a rollout in a cluster, judged by what Prometheus counts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from typing import Final

from ..cluster.kubeconfig import open_client
from ..cluster.target import ClusterTarget, Timeouts
from ..plan.loading import Planned, load_plan
from ..plan.model import Plan
from ..prometheus.arm_labels import arms_of, service_of_plan, version_of
from ..prometheus.query import Query, ReleaseLabel, app_query, istio_query
from ..prometheus.source import PrometheusServer, open_source
from ..report.plan_summary import summarize_plan
from ..report.terminal import open_progress
from ..runner.annotations import Grafana, open_annotations
from ..runner.controller import Checker, Controller, World
from ..runner.event_recorder import Telling
from ..runner.metrics import RolloutMetrics, serve_metrics
from ..runner.ports import NotOurs
from ..runner.reasons import still_gets
from ..runner.smoke_tests import no_checker, open_checker
from ..runner.state import StateStore
from .arguments import add_plan, port, seconds
from .exit_codes import CODES, EXPLAINED, Refused, run_command
from .state_store import add_cluster, open_store
from .unattributed import StraysSource

NAME: Final = "run"
SUMMARY: Final = "walk a plan's steps in a cluster, and back if the canary is worse"
_EPILOG: Final = f"""\
Touches the weights of the routes that the plan names and nothing else; refuses if Flagger, Argo
Rollouts or somebody else holds them. Killed at any moment, the same command goes on where it was.
A rollout that has ended says its verdict again; --again begins anew.

Everything before the first step has to be in the cluster: apply the directories 1-… and 2-… .

  tallykv-rollout run istio/canary --prometheus http://localhost:9090
  tallykv-rollout status istio/canary        and pause, resume, abort, from any other terminal

PROMETHEUS_TOKEN is sent to Prometheus. GRAFANA_URL and GRAFANA_TOKEN have steps marked there.

{EXPLAINED}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan(parser)
    parser.add_argument("--prometheus", metavar="URL", required=True, help="where evidence is")
    parser.add_argument(
        "--metrics",
        choices=("istio", "app"),
        default="istio",
        help="what callers saw, or what the service counts itself (default: istio)",
    )
    parser.add_argument(
        "--label",
        metavar="NAME=STABLE,CANARY",
        help="the label that names the release (default: destination_workload or the subset's)",
    )
    parser.add_argument(
        "--stale",
        type=seconds,
        default=60.0,
        metavar="TIME",
        help="the age from which a sample is no evidence (default: 60s)",
    )
    parser.add_argument(
        "--settle",
        type=seconds,
        default=5.0,
        metavar="TIME",
        help="for proxies to take a step up (default: 5s)",
    )
    parser.add_argument("--url", help="where the plan's checks are asked: the gateway")
    parser.add_argument("--host", help="the Host they ask for, if it is another than the URL's")
    add_cluster(parser)
    parser.add_argument(
        "--metrics-port", type=port, metavar="PORT", help="serve the rollout's own /metrics there"
    )
    parser.add_argument(
        "--again", action="store_true", help="begin anew, if the last one has ended"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run to the verdict; return the exit code."""
    return run_command(
        NAME, _run(arguments), interrupted="; the routes stay: the same command goes on"
    )


async def _run(arguments: argparse.Namespace) -> int:
    planned = await asyncio.to_thread(
        load_plan, arguments.plan, given=arguments.given, namespace=arguments.namespace
    )
    plan = planned.plan
    query = _query(arguments, planned)
    server = PrometheusServer(
        url=arguments.prometheus,
        token=os.environ.get("PROMETHEUS_TOKEN", ""),
        stale_seconds=arguments.stale,
    )
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
        )
        store = await stack.enter_async_context(open_store(arguments, plan, client))
        target = ClusterTarget(client, plan, Timeouts(propagation_seconds=arguments.settle))
        await _refuse_others(target, store, plan)
        source = StraysSource(await stack.enter_async_context(open_source(server, query)), query)
        checker: Checker = no_checker
        if arguments.url:
            checker = await stack.enter_async_context(open_checker(arguments.url, arguments.host))
        metrics = RolloutMetrics(plan.namespace, plan.name)
        listeners = [metrics.tell]
        if arguments.metrics_port is not None:
            await _serve(stack, metrics, arguments.metrics_port)
        if grafana := Grafana.from_env(os.environ):
            annotations = await stack.enter_async_context(open_annotations(grafana, _tags(planned)))
            listeners.append(annotations.tell)
        progress = stack.enter_context(
            open_progress(summarize_plan(plan, f"Prometheus at {arguments.prometheus}"))
        )
        listeners.append(progress.show_event)
        telling = Telling(plan, store, time.time, listeners)
        world = World(target, source, store, telling, checker, remark=source.remark)
        return CODES[await Controller(plan, world, again=arguments.again).run()]


async def _refuse_others(target: ClusterTarget, store: StateStore, plan: Plan) -> None:
    """Print warnings; raise NotOurs, which says what the canary gets, if another holds the weights.

    A rollout that is on its way back is not kept from it by who only lays claim.
    """
    kept = await store.load()
    if kept is not None and kept["ended"]:
        kept = None
    if kept is not None and kept["verdict"] is not None:
        return
    try:
        warnings = await target.check()
    except NotOurs as refused:
        if kept is None:
            raise
        raise NotOurs(f"{refused}; {still_gets(plan, kept['step'])}") from refused
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")


def _tags(planned: Planned) -> list[str]:
    """Return what tells a mark's release, as the dashboards call it."""
    version = version_of(planned, planned.plan.canary)
    return [f"track:{planned.plan.canary}", *([f"version:{version}"] if version else [])]


async def _serve(stack: contextlib.AsyncExitStack, metrics: RolloutMetrics, number: int) -> None:
    try:
        await stack.enter_async_context(serve_metrics(metrics, "0.0.0.0", number))  # noqa: S104 - a scrape comes from elsewhere
    except OSError as error:
        raise Refused(f"--metrics-port {number}: {error.strerror}; name another") from None


def _query(arguments: argparse.Namespace, planned: Planned) -> Query:
    plan = planned.plan
    edges = plan.objective.slow_seconds
    arms = _label(arguments.label) if arguments.label else arms_of(planned, arguments.metrics)
    if arguments.metrics == "app":
        return app_query(plan.namespace, arms, edges)
    service = service_of_plan(plan)
    return istio_query(service.name, service.namespace, arms, edges)


def _label(text: str) -> ReleaseLabel:
    name, _, values = text.partition("=")
    stable, comma, canary = values.partition(",")
    if not (name.isidentifier() and stable and comma and canary) or stable == canary:
        raise Refused(f"--label {text}: write it as NAME=STABLE,CANARY")
    return ReleaseLabel(name, stable, canary)
