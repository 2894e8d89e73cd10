"""The subcommand ``run``: a rollout in a cluster, with evidence from Prometheus."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from typing import Final

from ..cluster.kubeconfig import open_client
from ..cluster.target import ClusterTarget, Timeouts
from ..plan.loading import LoadedPlan
from ..plan.model import Plan
from ..prometheus.query import Query, ReleaseLabel, app_query, istio_query
from ..prometheus.release_label import arms_of, service_of_plan, version_of
from ..prometheus.source import PrometheusServer, open_source
from ..prometheus.unattributed_requests import UnattributedRequests
from ..report.plan_summary import summarize_plan
from ..report.terminal import open_progress
from ..runner.controller import Controller
from ..runner.event_recorder import EventRecorder
from ..runner.grafana_annotations import Grafana, open_annotations
from ..runner.metrics import RolloutMetrics, serve_metrics
from ..runner.ports import ManagedByOther, Ports, RunSmokeTest
from ..runner.reasons import describe_canary_traffic
from ..runner.smoke_tests import fail_without_url, open_smoke_tester
from ..runner.state_store import StateStore
from .arguments import (
    add_plan_arguments,
    add_state_arguments,
    load_plan_of,
    open_state_store,
    parse_port,
    parse_seconds,
)
from .exit_codes import EXIT_CODES_HELP, VERDICT_CODES, UsageError, run_command

NAME: Final = "run"
_EPILOG: Final = f"""\
Changes only weights, destinations and, for A/B, the plan's own rules in the VirtualService of the
plan. Refuses to start if Flagger, Argo Rollouts or another controller manages them. If the command
is killed, the same command continues where it stopped. If the rollout has ended, the command prints
the verdict again; --again starts a new rollout.

Before the first run, apply the directories 1-… and 2-…, and the first step.

  tallykv-rollout run istio/canary --prometheus http://localhost:9090
  tallykv-rollout status istio/canary        in another terminal; also pause, resume and abort

PROMETHEUS_TOKEN is the bearer token for Prometheus. With GRAFANA_URL and GRAFANA_TOKEN, each step
is posted to Grafana as an annotation.

{EXIT_CODES_HELP}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
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
        metavar="NAME=STABLE,CANARY",
        help="metric label that names the release, and its two values (default:"
        " destination_workload, or destination_service_name if the releases are Services; with app"
        " a label of the subsets)",
    )
    parser.add_argument(
        "--stale",
        type=parse_seconds,
        default=60.0,
        metavar="TIME",
        help="ignore samples that are older (default: 60s)",
    )
    parser.add_argument(
        "--settle",
        type=parse_seconds,
        default=5.0,
        metavar="TIME",
        help="time that proxies need to apply new routes (default: 5s)",
    )
    parser.add_argument(
        "--url", metavar="URL", help="address of the gateway, for the plan's smoke tests"
    )
    parser.add_argument(
        "--host", metavar="NAME", help="Host header of the smoke tests (default: that of --url)"
    )
    add_state_arguments(parser)
    parser.add_argument(
        "--metrics-port",
        type=parse_port,
        metavar="PORT",
        help="serve metrics of the rollout at /metrics on this port",
    )
    parser.add_argument(
        "--again", action="store_true", help="start a new rollout if the last one has ended"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run to the verdict; return the exit code."""
    return run_command(
        NAME,
        _run(arguments),
        interrupted="; the routes stay as they are; run the same command to continue",
    )


async def _run(arguments: argparse.Namespace) -> int:
    loaded = await load_plan_of(arguments)
    plan = loaded.plan
    kind = plan.steps[0].routes.kind
    if kind != "VirtualService":
        raise UsageError(
            f"the steps change {kind} {plan.namespace}/{plan.virtual_service}: in a cluster, run"
            " changes only the weights of VirtualServices; rehearse takes this plan"
        )
    question = _question(arguments, loaded)
    server = PrometheusServer(
        url=arguments.prometheus,
        token=os.environ.get("PROMETHEUS_TOKEN", ""),
        stale_seconds=arguments.stale,
    )
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
        )
        store = await stack.enter_async_context(open_state_store(arguments, plan, client))
        target = ClusterTarget(client, plan, Timeouts(propagation_seconds=arguments.settle))
        await _check_weights_are_free(target, store, plan)
        source = UnattributedRequests(
            await stack.enter_async_context(open_source(server, question)), question
        )
        run_smoke_test: RunSmokeTest = fail_without_url
        if arguments.url:
            run_smoke_test = await stack.enter_async_context(
                open_smoke_tester(arguments.url, arguments.host)
            )
        metrics = RolloutMetrics(plan.namespace, plan.name)
        listeners = [metrics.observe_event]
        if arguments.metrics_port is not None:
            await _serve_metrics(stack, metrics, arguments.metrics_port)
        if grafana := Grafana.from_env(os.environ):
            annotations = await stack.enter_async_context(open_annotations(grafana, _tags(loaded)))
            listeners.append(annotations.post_event)
        progress = stack.enter_context(
            open_progress(summarize_plan(plan, f"Prometheus at {arguments.prometheus}"))
        )
        listeners.append(progress.show_event)
        ports = Ports(
            target=target,
            source=source,
            store=store,
            recorder=EventRecorder(plan, store, time.time, listeners),
            run_smoke_test=run_smoke_test,
            explain_missing_data=source.explain_missing_data,
        )
        return VERDICT_CODES[await Controller(plan, ports, again=arguments.again).run()]


async def _check_weights_are_free(target: ClusterTarget, store: StateStore, plan: Plan) -> None:
    """Print warnings. Raise ManagedByOther if another controller manages the weights.

    The message says which requests the canary still gets. A rollout that is already rolling back
    skips this check, so that another controller can't stop the rollback.
    """
    saved = await store.load()
    if saved is not None and saved["ended"]:
        saved = None
    if saved is not None and saved["verdict"] is not None:
        return
    try:
        warnings = await target.check()
    except ManagedByOther as error:
        if saved is None:
            raise
        traffic = describe_canary_traffic(plan, saved["step"])
        raise ManagedByOther(f"{error}; {traffic}") from error
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")


def _tags(loaded: LoadedPlan) -> list[str]:
    """Return the tags by which the dashboards find the annotations of a release."""
    version = version_of(loaded, loaded.plan.canary)
    return [f"track:{loaded.plan.canary}", *([f"version:{version}"] if version else [])]


async def _serve_metrics(
    stack: contextlib.AsyncExitStack, metrics: RolloutMetrics, number: int
) -> None:
    try:
        await stack.enter_async_context(serve_metrics(metrics, "0.0.0.0", number))  # noqa: S104 - Prometheus scrapes from another host
    except OSError as error:
        raise UsageError(
            f"--metrics-port {number}: {error.strerror}; choose another port"
        ) from None


def _question(arguments: argparse.Namespace, loaded: LoadedPlan) -> Query:
    plan = loaded.plan
    edges = plan.objective.slow_seconds
    arms = parse_label(arguments.label) if arguments.label else arms_of(loaded, arguments.metrics)
    if arguments.metrics == "app":
        return app_query(plan.namespace, arms, edges)
    service = service_of_plan(plan)
    return istio_query(service.name, service.namespace, arms, edges)


def parse_label(text: str) -> ReleaseLabel:
    """Parse ``NAME=STABLE,CANARY``; raise UsageError."""
    name, _, values = text.partition("=")
    stable, comma, canary = values.partition(",")
    if not (name.isidentifier() and stable and comma and canary) or stable == canary:
        raise UsageError(f"--label {text}: write it as NAME=STABLE,CANARY")
    return ReleaseLabel(name, stable, canary)
