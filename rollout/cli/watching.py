"""``run --dry-run`` and ``run --advise``: what a run would do. Neither writes anything."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Final, cast

from ..cluster.kubeconfig import open_client
from ..cluster.live_routes import Timeouts
from ..cluster.target import ClusterTarget
from ..cluster.workloads import ClusterWorkloads
from ..plan.model import Plan
from ..prometheus.query import Query
from ..prometheus.source import PrometheusServer, open_source
from ..report.plan_summary import summarize_plan
from ..report.terminal import open_progress
from ..runner.advisor import Advisor, Unsaved
from ..runner.event_recorder import EventRecorder
from ..runner.ports import Ports
from ..runner.smoke_tests import fail_without_url
from ..runner.state_store import StateStore
from .dry_run import describe_run
from .exit_codes import VERDICT_CODES
from .rollout_name import RolloutName
from .state_arguments import state_store

_NOTHING: Final = "nothing was changed\n"


def add_watching_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--dry-run`` and ``--advise``; ``watch`` uses them."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be changed and asked, against the live objects, and change nothing",
    )
    parser.add_argument(
        "--advise",
        action="store_true",
        help="watch while somebody else moves the weights, print what this would do, and change"
        " nothing",
    )


async def watch(
    arguments: argparse.Namespace,
    plan: Plan,
    server: PrometheusServer,
    question: Query,
    images: Mapping[str, str],
) -> int:
    """Print what a run would do; return 0, or the exit code of the verdict that is advised.

    Raise TargetFailed, with the reasons why a run would refuse.
    """
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
        )
        target = ClusterTarget(client, plan, Timeouts(propagation_seconds=arguments.settle))
        workloads = ClusterWorkloads(client, plan) if plan.workloads else None
        source = await stack.enter_async_context(open_source(server, question))
        if arguments.dry_run:
            for warning in await target.check():
                sys.stdout.write(f"warning: {warning}\n")
            if workloads is not None:
                await workloads.check()
            saved = await state_store(
                arguments, RolloutName(plan.namespace, plan.virtual_service), client
            ).load()
            if saved is not None:
                word = "has ended, and --again is needed" if saved["ended"] else "would be resumed"
                sys.stdout.write(f"the saved rollout {word}\n")
            async for line in describe_run(plan, target, source, workloads, images):
                sys.stdout.write(f"{line}\n")
            sys.stdout.write(_NOTHING)
            return 0
        progress = stack.enter_context(
            open_progress(summarize_plan(plan, f"Prometheus at {arguments.prometheus}"))
        )
        # The advisor only records events.
        store = cast(StateStore, Unsaved())
        ports = Ports(
            target=target,
            source=source,
            store=store,
            recorder=EventRecorder(plan, store, time.time, [progress.show_event]),
            run_smoke_test=fail_without_url,
        )
        verdict = await Advisor(plan, ports).run()
    sys.stdout.write(_NOTHING)
    return VERDICT_CODES[verdict]
