"""The subcommand ``backtest``: what the evidence would have said about a release of the past."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ..judge.comparison import Clocks, Comparison
from ..judge.definition import ComparisonSpec, parse_definition
from ..lint.resource import Resource
from ..plan.loading import LoadedPlan
from ..prometheus.history import read_history
from ..prometheus.release_label import arms_of, service_of_plan
from ..prometheus.source import PrometheusServer, open_source
from ..report.formats import timestamp
from ..runner.ports import SourceFailed
from .arguments import add_plan_arguments, load_plan_of, parse_seconds
from .backtest_beside import decide_beside, load_controllers, our_decision, render_beside
from .exit_codes import UsageError, run_command
from .source_arguments import parse_label

NAME: Final = "backtest"
_EPILOG: Final = """\
Reads the counters of both releases as they were at each moment of a range, and prints each change
of the verdict. The objective is that of the plan; its steps are not used, because the weights of
that time were what they were. With --beside, what Flagger or Argo Rollouts would have decided
stands below, as if its release had begun with the canary's first requests.

  tallykv-rollout backtest istio/canary --prometheus http://localhost:9090 --from 2026-11-28T09:00
"""
#: Against a response that takes long: a range costs more than a moment.
_TIMEOUT_SECONDS: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    parser.add_argument(
        "--prometheus", metavar="URL", required=True, help="address of the Prometheus server"
    )
    parser.add_argument(
        "--from",
        dest="since",
        type=_parse_time,
        required=True,
        metavar="TIME",
        help="begin of the range: Unix seconds, or as 2026-11-28T09:00:00 in UTC",
    )
    parser.add_argument(
        "--to", dest="until", type=_parse_time, metavar="TIME", help="end (default: now)"
    )
    parser.add_argument(
        "--metrics",
        choices=("istio", "app"),
        default="istio",
        help="as of run (default: istio)",
    )
    parser.add_argument("--label", metavar="NAME=STABLE,CANARY[,BASELINE]", help="as of run")
    parser.add_argument(
        "--stale",
        type=parse_seconds,
        default=60.0,
        metavar="TIME",
        help="ignore samples that are older; a release without requests for so long has no data"
        " (default: 60s)",
    )
    parser.add_argument(
        "--beside",
        metavar="DIR",
        help="manifests with a Canary of Flagger or a Rollout of Argo: print what it would have"
        " decided from the same Prometheus",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdicts; return 0, or 2 if Prometheus has nothing."""
    return run_command(NAME, _backtest(arguments))


async def _backtest(arguments: argparse.Namespace) -> int:
    loaded = await load_plan_of(arguments)
    since, until = arguments.since, arguments.until or time.time()
    if until <= since:
        raise UsageError("--to: it is not after --from")
    spec = _comparison_of(loaded, arguments)
    query, _ = spec.build_query()
    server = PrometheusServer(
        url=arguments.prometheus,
        token=os.environ.get("PROMETHEUS_TOKEN", ""),
        timeout_seconds=_TIMEOUT_SECONDS,
        stale_seconds=arguments.stale,
    )
    now: float = since

    def clock() -> float:
        return now

    comparison = Comparison(spec, "", Clocks(clock, clock))
    step = spec.interval.total_seconds()
    changes: list[dict[str, Any]] = []
    problem = ""
    others: Sequence[Resource] = ()
    if arguments.beside:
        others = await asyncio.to_thread(load_controllers, arguments.beside, arguments.namespace)
    exposed_at: float | None = None
    beside: list[dict[str, Any]] = []
    async with open_source(server, query) as source:
        try:
            async for reading in read_history(
                source,
                query,
                stale_seconds=arguments.stale,
                since=since,
                until=until,
                step_seconds=step,
            ):
                if isinstance(reading, SourceFailed):
                    problem = str(reading)
                    comparison.fail(problem)
                else:
                    comparison.observe(reading)
                shown = comparison.describe(loaded.plan.name)
                if not changes or changes[-1]["verdict"] != shown["verdict"]:
                    changes.append({"time": now, **shown})
                if exposed_at is None and shown["canary"]["requests"]:
                    exposed_at = now
                now += step
            if others and exposed_at is not None:
                beside = await decide_beside(others, source, exposed_at, until)
        except SourceFailed as failed:
            raise UsageError(str(failed)) from None
    if not comparison.polls["read"]:
        raise UsageError(f"there is nothing to judge in that time: {problem}")
    last = comparison.describe(loaded.plan.name)
    if arguments.format == "json":
        more = {"beside": [our_decision(changes), *beside]} if beside else {}
        sys.stdout.write(json.dumps({"changes": changes, "end": last, **more}, indent=2) + "\n")
    else:
        for each in changes:
            sys.stdout.write(f"{timestamp(each['time'])}  {_render(each)}\n")
        sys.stdout.write(f"at the end               {_render(last)}\n")
        if exposed_at is not None and beside:
            sys.stdout.write("\n" + render_beside([our_decision(changes), *beside], exposed_at))
    return 0


def _render(shown: dict[str, Any]) -> str:
    counts = "  ".join(
        f"{arm} {shown[arm]['failures']:,}/{shown[arm]['requests']:,} failed"
        for arm in ("stable", "canary")
    )
    return f"{shown['verdict']}  {counts}  {shown['reason']}"


def _comparison_of(loaded: LoadedPlan, arguments: argparse.Namespace) -> ComparisonSpec:
    """Return the comparison that a judge would make with the plan's objective and poll."""
    plan = loaded.plan
    objective = plan.objective
    found = parse_label(arguments.label) if arguments.label else arms_of(loaded, arguments.metrics)
    label = {"name": found.name, "stable": found.stable, "canary": found.canary}
    if found.baseline is not None:
        label["baseline"] = found.baseline
    source: dict[str, Any] = {"app": {"namespace": plan.namespace, "label": label}}
    if arguments.metrics == "istio":
        service = service_of_plan(plan)
        source = {
            "istio": {"namespace": service.namespace, "service": service.name, "label": label}
        }
    return parse_definition(
        ComparisonSpec,
        {
            "source": source,
            "objective": {
                "errorRatio": objective.error_ratio,
                "slow": [f"{edge * 1000:g}ms" for edge in objective.slow_seconds],
                "falseRollback": objective.false_rollback,
                "falsePromotion": objective.false_promotion,
            },
            "interval": f"{max(plan.poll_seconds, 1):g}s",
            "stale": f"{max(arguments.stale, 2 * plan.poll_seconds, 2):g}s",
        },
    )


def _parse_time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no time: write it as 2026-11-28T09:00:00, or in Unix seconds'
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
