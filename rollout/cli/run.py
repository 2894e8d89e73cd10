"""The subcommand ``run``: a rollout in a cluster, with evidence from Prometheus."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from typing import Final

from ..cluster.kubeconfig import open_client
from ..cluster.lease import Lease
from ..cluster.leased_state import LeasedStateStore
from ..cluster.live_routes import Timeouts
from ..cluster.patience import ask_patiently
from ..cluster.target import ClusterTarget
from ..cluster.workloads import ClusterWorkloads
from ..plan.loading import LoadedPlan
from ..plan.model import Plan
from ..prometheus.release_label import version_of
from ..prometheus.source import open_source
from ..prometheus.unattributed_requests import UnattributedRequests
from ..report.plan_summary import PlanSummary, summarize_plan
from ..report.terminal import open_progress
from ..runner.controller import Controller
from ..runner.decisions import Verdict
from ..runner.event_recorder import EventRecorder, Listener, Viewer
from ..runner.grafana_annotations import Grafana, open_annotations
from ..runner.ports import ManagedByOther, Ports, RunSmokeTest, TargetFailed
from ..runner.reasons import describe_canary_traffic
from ..runner.rollout_state import PlanChanged
from ..runner.smoke_tests import fail_without_url, open_smoke_tester
from ..runner.state_store import (
    StateCorrupt,
    StateFailed,
    StateHeld,
    StateStore,
    StateUnknown,
)
from .arguments import (
    add_plan_arguments,
    load_plan_of,
    parse_address,
    parse_port,
    parse_seconds,
)
from .ending import Ending
from .exit_codes import EXIT_CODES_HELP, PROMOTED, VERDICT_CODES, UsageError, run_command
from .gates import open_gates
from .images import add_image_argument, images_of
from .notifications import open_notifications
from .rollout_name import RolloutName
from .source_arguments import add_source_arguments, question_of, server_of
from .state_arguments import add_state_arguments, state_store
from .watching import add_watching_arguments, watch

NAME: Final = "run"
_EPILOG: Final = f"""\
Changes only weights, destinations and, for A/B, the plan's own rules in the plan's VirtualService,
HTTPRoute or GRPCRoute. Refuses to start if Flagger, Argo Rollouts or another controller manages
them. If the command is killed, the same command continues where it stopped. If the rollout has
ended, the command prints the verdict again; --again starts a new rollout.

Before the first run, apply the directories 1-… and 2-…, and the first step.

  tallykv-rollout run istio/canary --prometheus http://localhost:9090
  tallykv-rollout status kv/kv               in another terminal; also pause, resume and abort

PROMETHEUS_TOKEN is the bearer token for Prometheus. With GRAFANA_URL and GRAFANA_TOKEN, each step
is posted to Grafana as an annotation.

{EXIT_CODES_HELP}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    add_image_argument(parser)
    add_watching_arguments(parser)
    add_source_arguments(parser)
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
        "--serve",
        type=parse_address,
        metavar="[HOST:]PORT",
        help="serve the report as a page that follows the rollout (default host: 127.0.0.1; there"
        " is no authentication)",
    )
    parser.add_argument(
        "--exit-zero",
        action="store_true",
        help="exit with 0 for every verdict: a Job would repeat what fails",
    )
    parser.add_argument(
        "--again", action="store_true", help="start a new rollout if the last one has ended"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run to the verdict; return the exit code."""
    endings: list[Ending] = []
    return run_command(
        NAME,
        _run(arguments, endings),
        interrupted=lambda: "".join(f"; {each.describe()}" for each in endings),
    )


async def _run(arguments: argparse.Namespace, endings: list[Ending]) -> int:
    loaded = await load_plan_of(arguments)
    plan = loaded.plan
    images = images_of(plan, arguments.images)
    question = question_of(arguments, loaded)
    server = server_of(arguments)
    if arguments.dry_run or arguments.advise:
        return await watch(arguments, plan, server, question, images)
    async with contextlib.AsyncExitStack() as stack:
        # The lease has connections of its own: its renewal must not wait for other requests.
        client, lease_client = [
            await stack.enter_async_context(
                open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
            )
            for _ in range(2)
        ]
        rollout = RolloutName(plan.namespace, plan.virtual_service)
        store = LeasedStateStore(
            state_store(arguments, rollout, client),
            Lease(lease_client, rollout.namespace, rollout.name, say=_say),
        )
        target = ClusterTarget(
            client,
            plan,
            Timeouts(propagation_seconds=arguments.settle),
            why_not=store.why_not_held,
        )
        await _check_weights_are_free(target, store, plan)
        workloads = None
        if plan.workloads:
            workloads = ClusterWorkloads(client, plan, why_not=store.why_not_held)
            await _check_workloads(workloads, store, again=arguments.again)
        prometheus = await stack.enter_async_context(open_source(server, question))
        source = UnattributedRequests(prometheus, question)
        gates = await stack.enter_async_context(open_gates(plan, server, prometheus))
        run_smoke_test: RunSmokeTest = fail_without_url
        if arguments.url:
            run_smoke_test = await stack.enter_async_context(
                open_smoke_tester(arguments.url, arguments.host)
            )
        viewers, listeners = list[Viewer](), list[Listener]()
        if arguments.metrics_port is not None:
            viewers.append(await _serve_metrics(stack, plan, arguments.metrics_port))
        if grafana := Grafana.from_env(os.environ):
            annotations = await stack.enter_async_context(open_annotations(grafana, _tags(loaded)))
            listeners.append(annotations)
        notifier = await stack.enter_async_context(open_notifications(plan))
        about = summarize_plan(plan, f"Prometheus at {arguments.prometheus}")
        if arguments.serve is not None:
            viewers.append(await _serve_page(stack, about, *arguments.serve))
        progress = stack.enter_context(open_progress(about))
        viewers.append(progress.show_event)
        ports = Ports(
            target=target,
            source=source,
            store=store,
            recorder=EventRecorder(plan, store, time.time, viewers, notifier, listeners),
            run_smoke_test=run_smoke_test,
            workloads=workloads,
            images=images,
            gates=gates,
            explain_missing_data=source.explain_missing_data,
            say=_say,
        )
        controller = Controller(plan, ports, again=arguments.again)
        ending = Ending(plan)
        endings.append(ending)
        ending.controller = controller
        verdict = await _run_to_the_end(controller, ending, target)
        endings.clear()
        return PROMOTED if arguments.exit_zero else VERDICT_CODES[verdict]


async def _run_to_the_end(controller: Controller, ending: Ending, target: ClusterTarget) -> Verdict:
    """Run, and let others apply the routes again; an error says what the canary gets."""
    try:
        verdict = await controller.run()
    except StateHeld:
        raise  # somebody else watches
    except (StateFailed, TargetFailed, PlanChanged) as error:
        raise type(error)(f"{error}; {await ending.read(target)}") from error
    try:
        await target.give_back()
    except TargetFailed as failed:
        _say(f"kubectl apply --server-side may need --force-conflicts once: {failed}")
    return verdict


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


async def _check_weights_are_free(target: ClusterTarget, store: StateStore, plan: Plan) -> None:
    """Print warnings. Raise ManagedByOther if another controller manages the weights.

    The message says which requests the canary still gets. A rollout that is already rolling back
    skips this check, so that another controller can't stop the rollback.
    """
    saved = None
    # The controller says what is wrong with a damaged state, or replaces it.
    with contextlib.suppress(StateCorrupt, StateUnknown):
        saved = await ask_patiently(store.load, _say)
    if saved is not None and saved["ended"]:
        saved = None
    if saved is not None and saved["verdict"] is not None:
        return
    try:
        warnings = await ask_patiently(target.check, _say)
    except ManagedByOther as error:
        if saved is None:
            raise
        traffic = describe_canary_traffic(plan, saved["step"])
        raise ManagedByOther(f"{error}; {traffic}") from error
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")


async def _check_workloads(workloads: ClusterWorkloads, store: StateStore, *, again: bool) -> None:
    """Before a new rollout, refuse workloads that can't be released safely."""
    saved = await store.load()
    if saved is None or (again and saved["ended"]):
        await workloads.check()


def _tags(loaded: LoadedPlan) -> list[str]:
    """Return the tags by which the dashboards find the annotations of a release."""
    version = version_of(loaded, loaded.plan.canary)
    return [f"track:{loaded.plan.canary}", *([f"version:{version}"] if version else [])]


async def _serve_metrics(stack: contextlib.AsyncExitStack, plan: Plan, number: int) -> Viewer:
    # Few ask for it, and it takes long to import, as the page does.
    from ..runner.metrics import RolloutMetrics, serve_metrics  # noqa: PLC0415

    metrics = RolloutMetrics(plan.namespace, plan.name)
    try:
        await stack.enter_async_context(serve_metrics(metrics, "0.0.0.0", number))  # noqa: S104 - Prometheus scrapes from another host
    except OSError as error:
        raise UsageError(
            f"--metrics-port {number}: {error.strerror}; choose another port"
        ) from None
    return metrics.observe_event


async def _serve_page(
    stack: contextlib.AsyncExitStack, about: PlanSummary, host: str, port: int
) -> Viewer:
    from ..report.live_page import LivePage, serve_page  # noqa: PLC0415

    page = LivePage(about)
    try:
        number = await stack.enter_async_context(serve_page(page, host, port))
    except OSError as error:
        raise UsageError(f"--serve {host}:{port}: {error.strerror}; choose another") from None
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"live page: http://{shown}:{number}/\n")
    return page.show_event
