"""The subcommand ``rehearse``: a complete rollout on this machine, with a verdict and a report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..evidence.counts import Arm
from ..lint.resource import Resource
from ..plan.model import Plan, Strategy, plan_without_pauses
from ..rehearsal.pod_specs import PodOptions, has_tallykv
from ..rehearsal.rehearsal import Rehearsal, RehearsalOptions, rehearsing
from ..rehearsal.request_mix import CanaryRequestMix, KeyValueMix, RequestMix, request_for
from ..rehearsal.samples import SampleRecorder
from ..runner.metrics import RolloutMetrics
from .arguments import (
    add_plan_arguments,
    parse_pod_count,
    parse_rate,
    parse_request,
    parse_seconds,
    parse_variable,
)
from .caller_arguments import add_caller_arguments, caller_of
from .exit_codes import EXIT_CODES_HELP, UsageError, run_command
from .rehearsed_plan import add_release_arguments, load_rehearsed
from .rehearsed_rollout import RehearsedRollout

NAME: Final = "rehearse"
_EPILOG: Final = f"""\
Starts Redis, a process for each release, an Envoy that is configured from the manifests as Istio
would do it, and clients. Then runs the plan's steps and compares the releases, as run does. All
processes listen on 127.0.0.1 and end with the command.

  tallykv-rollout rehearse istio/canary
  tallykv-rollout rehearse istio/canary --canary-env KV_FAULT_ERROR_RATIO=0.05
  tallykv-rollout rehearse istio/canary --step 10 --serve      then send requests with curl
  tallykv-rollout rehearse my/manifests --stable v1 --canary v2     subsets or Services

{EXIT_CODES_HELP}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    add = parser.add_argument
    add("--step", metavar="NAME", help="go to this step (default: the first with canary requests)")
    add(
        "--until",
        choices=("done", "step"),
        default="done",
        help="run all further steps, or only one (default: done)",
    )
    add(
        "--rate",
        type=parse_rate,
        default=200.0,
        help="requests per second, 0 for none (default: 200)",
    )
    add(
        "--request",
        type=parse_request,
        metavar="'GET /path'",
        help="what to send, or 'GRPC /package.Service/Method' (default: requests for entries and"
        " counters; to stubs, a GET request for the route to both releases)",
    )
    add_release_arguments(parser)
    add_caller_arguments(parser)
    for arm in ("stable", "canary"):
        add(
            f"--{arm}-env",
            metavar="NAME=VALUE",
            type=parse_variable,
            action="append",
            default=[],
            help=f"environment variable of the {arm} release (repeatable)",
        )
    add(
        "--host",
        dest="hosts",
        metavar="NAME",
        action="append",
        default=[],
        help="a host of the routes that clients ask for (repeatable; default: the first of each)",
    )
    add(
        "--stub",
        action="store_true",
        help="run no release: stubs return the requests that they get (without a command, they"
        " always replace other images than tallykv)",
    )
    add(
        "--replicas",
        type=parse_pod_count,
        default=1,
        help="the largest number of pods of a workload (default: 1)",
    )
    for name, seconds, text in (
        ("--step-time", 8.0, "time of each step (default: 8s)"),
        ("--poll", 1.0, "time between polls (default: 1s)"),
        ("--deadline", 300.0, "longest time of the rollout (default: 5m)"),
    ):
        add(name, type=parse_seconds, default=seconds, metavar="TIME", help=text)
    add(
        "--ignore",
        dest="ignored",
        metavar="FIELD",
        action="append",
        default=[],
        help="a field or a kind that could change the answer and can't be rehearsed: leave it out,"
        " and say so in the report (repeatable)",
    )
    add("--report", metavar="DIR", help="write report.html, report.json and events.jsonl there")
    add("--serve", action="store_true", help="keep running after the verdict, until Ctrl-C")
    add("--no-prometheus", action="store_true", help="do not start Prometheus")


def run(arguments: argparse.Namespace) -> int:
    """Rehearse; return the exit code."""
    return run_command(NAME, _rehearse(arguments))


async def _rehearse(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    loaded, commands = await load_rehearsed(arguments)
    plan = _adapt_plan(loaded.plan, arguments)
    metrics = RolloutMetrics(plan.namespace, plan.name)
    seconds = SampleRecorder(plan.releases, plan.objective.slow_seconds, time.time)
    documents = list(map(_with_namespace, loaded.resources))
    keys = bool(commands) or (has_tallykv(documents) and not arguments.stub)
    default = KeyValueMix() if keys else request_for(plan.releases, plan.steps[0].routes)
    options = RehearsalOptions(
        pods=PodOptions(
            replicas=arguments.replicas,
            commands=commands,
            stub=arguments.stub,
            # The baseline is the stable release once more.
            environ={
                arm: dict(arguments.canary_env if arm is Arm.CANARY else arguments.stable_env)
                for arm in plan.releases.names.values()
            },
        ),
        rate=arguments.rate,
        mix=build_request_mix(plan, arguments.request or default, arguments.rate),
        prometheus=not arguments.no_prometheus,
        registry=metrics.registry,
        observers=(seconds.observe,),
        ignored=tuple(arguments.ignored),
        hosts=tuple(arguments.hosts),
        caller=caller_of(arguments),
        headers=dict(arguments.headers),
        keys=dict(arguments.jwks),
    )
    with _open_directory(arguments.report) as directory:
        async with rehearsing(documents, plan, options) as rehearsal:
            _print_addresses(rehearsal, time.monotonic() - started)
            rollout = RehearsedRollout(plan, rehearsal, seconds, metrics, directory)
            if arguments.rate == 0:
                await rollout.apply_first_step()
                code = 0
            else:
                code = await rollout.run(keep=bool(arguments.report))
            if arguments.serve or arguments.rate == 0:
                sys.stdout.write("the rehearsal keeps running; Ctrl-C stops it\n")
                sys.stdout.flush()
                await asyncio.Event().wait()
    return code


def _with_namespace(resource: Resource) -> Mapping[str, Any]:
    """Return an object's document with the namespace that --namespace gave it."""
    document = resource.document
    if not resource.namespace:
        return document
    return {**document, "metadata": {**document["metadata"], "namespace": resource.namespace}}


def build_request_mix(plan: Plan, base: RequestMix, rate: float) -> RequestMix:
    """Return the requests of a rehearsal: ``base``, partly with headers for the canary.

    Raise UsageError if a step needs such requests and the plan has none, unless ``rate`` is 0.
    """
    if plan.canary_requests is not None:
        return CanaryRequestMix(base, plan.canary_requests)
    by_header = [step.name for step in plan.steps if step.share is None]
    if by_header and rate > 0 and plan.strategy is not Strategy.WALK:
        raise UsageError(
            f"at step {by_header[0]} request headers select the canary, and the plan does not say"
            " which; add them to plan.yaml, for example"
            " requests: {headers: {x-variant: b}, share: 0.3}"
        )
    return base


def _adapt_plan(plan: Plan, arguments: argparse.Namespace) -> Plan:
    """Return the plan with the times and steps of the arguments."""
    if arguments.poll > arguments.step_time:
        raise UsageError("--poll is longer than --step-time; choose a shorter --poll")
    # A rehearsal has times of its own, and nobody to resume it.
    plan = plan_without_pauses(plan, with_times=False)
    first, *others = plan.steps
    if arguments.step is not None:
        names = [step.name for step in others]
        if arguments.step not in names:
            raise UsageError(f"--step {arguments.step}: the steps are {', '.join(names)}")
        others = others[names.index(arguments.step) :]
    if arguments.until == "step":
        others = others[:1]
    return replace(
        plan,
        steps=(first, *others),
        step_seconds=arguments.step_time,
        poll_seconds=arguments.poll,
        deadline_seconds=arguments.deadline,
    )


def _print_addresses(rehearsal: Rehearsal, took: float) -> None:
    first, *others = (each.curl for each in rehearsal.entrances)
    lines = [
        f"up in {took:.1f} s: {first}",
        *(f"or {each}" for each in others),
        f"metrics: {rehearsal.metrics}",
    ]
    if rehearsal.prometheus:
        lines.append(f"prometheus: {rehearsal.prometheus}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _open_directory(report: str | None) -> Iterator[Path]:
    """Yield the directory of --report without the state of an earlier run, or a temporary one."""
    if report is None:
        with tempfile.TemporaryDirectory(prefix="tallykv-rollout-") as temporary:
            yield Path(temporary)
        return
    directory = Path(report)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("state.json", "events.jsonl", "order.json"):
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--report {report}: {error.strerror}; choose another directory") from None
    yield directory
