"""The subcommand ``rehearse``: a whole rollout on this machine, with a verdict and a report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp

from ..evidence.counts import Arm
from ..plan.loading import load_plan
from ..plan.model import Plan
from ..rehearsal.pods import ReleaseOptions
from ..rehearsal.rehearsal import Rehearsal, RehearsalOptions, rehearsing
from ..rehearsal.seconds import Seconds
from ..report.html import render_report
from ..report.json_report import render_json
from ..report.samples import About
from ..report.terminal import Progress, open_progress
from ..runner.controller import Controller, Verdict, World
from ..runner.event_recorder import Telling
from ..runner.events import Event
from ..runner.file_state import DirectoryState
from ..runner.metrics import RolloutMetrics
from ..runner.smoke_tests import open_checker
from .arguments import add_plan, count, rate, seconds, variable, words
from .canary_requests import mix_of
from .exit_codes import CODES, ERROR, EXPLAINED, Refused, run_command
from .plan_summary import about_of

#: Of reading all counters.
_COUNTER_TRIES: Final = 5

NAME: Final = "rehearse"
SUMMARY: Final = "roll out on this machine: the same manifests, a real Envoy, no cluster"
_EPILOG: Final = f"""\
Starts a Redis, a process for each release, an Envoy that is configured from the manifests as Istio
would, and clients; then walks the plan's steps and judges the canary as run does. All of it listens
on 127.0.0.1 and ends with the command.

  tallykv-rollout rehearse istio/canary
  tallykv-rollout rehearse istio/canary --canary-env KV_FAULT_ERROR_RATIO=0.05
  tallykv-rollout rehearse istio/canary --step 10 --serve      and curl it yourself

{EXPLAINED}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan(parser)
    parser.add_argument("--step", metavar="NAME", help="begin with this step, not the first")
    parser.add_argument(
        "--until",
        choices=("done", "step"),
        default="done",
        help="go on to the last step, or end after one (default: done)",
    )
    parser.add_argument(
        "--rate", type=rate, default=200.0, help="requests a second, 0 for none (default: 200)"
    )
    parser.add_argument(
        "--request", metavar="'GET /path'", help="what to ask (default: entries and counters)"
    )
    for arm in ("stable", "canary"):
        parser.add_argument(
            f"--{arm}-env",
            metavar="NAME=VALUE",
            type=variable,
            action="append",
            default=[],
            help=f"a variable for the {arm} release (may be repeated)",
        )
        parser.add_argument(
            f"--{arm}",
            metavar="COMMAND",
            type=words,
            help=f"start the {arm} release so; it listens on $PORT (default: this tallykv)",
        )
    parser.add_argument(
        "--replicas", type=count, default=1, help="the most pods of a workload (default: 1)"
    )
    parser.add_argument(
        "--step-time", type=seconds, default=8.0, metavar="TIME", help="per step (default: 8s)"
    )
    parser.add_argument(
        "--poll", type=seconds, default=1.0, metavar="TIME", help="between looks (default: 1s)"
    )
    parser.add_argument(
        "--deadline", type=seconds, default=300.0, metavar="TIME", help="in all (default: 5m)"
    )
    parser.add_argument(
        "--report", metavar="DIR", help="write report.html, report.json and events.jsonl there"
    )
    parser.add_argument("--serve", action="store_true", help="keep it up afterwards, until Ctrl-C")
    parser.add_argument(
        "--no-prometheus", action="store_true", help="start none, even if it is installed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Rehearse; return the exit code."""
    return run_command(NAME, _rehearse(arguments))


async def _rehearse(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    planned = await asyncio.to_thread(
        load_plan, arguments.plan, given=arguments.given, namespace=arguments.namespace
    )
    plan = _shortened(planned.plan, arguments)
    metrics = RolloutMetrics(plan.namespace, plan.name)
    drawn = Seconds(
        {plan.stable: Arm.STABLE, plan.canary: Arm.CANARY},
        plan.objective.slow_seconds,
        time.time,
    )
    options = RehearsalOptions(
        releases=ReleaseOptions(
            replicas=arguments.replicas,
            commands={arm: command for arm in Arm if (command := getattr(arguments, arm.value))},
            environ={arm: dict(getattr(arguments, f"{arm.value}_env")) for arm in Arm},
        ),
        rate=arguments.rate,
        mix=mix_of(plan, arguments.request, arguments.rate),
        prometheus=not arguments.no_prometheus,
        registry=metrics.registry,
        readers=(drawn.observe,),
    )
    with _directory(arguments.report) as directory:
        documents = [each.document for each in planned.resources]
        async with rehearsing(documents, plan, options) as rehearsal:
            _say_where(rehearsal, time.monotonic() - began)
            rehearsed = _Rehearsed(plan, rehearsal, drawn, metrics, directory)
            if arguments.rate == 0:
                await rehearsed.show()
                code = 0
            else:
                code = await rehearsed.judge(keep=bool(arguments.report))
            if arguments.serve or arguments.rate == 0:
                await _serve()
    return code


@dataclass(frozen=True, slots=True)
class _Rehearsed:
    plan: Plan
    rehearsal: Rehearsal
    drawn: Seconds
    metrics: RolloutMetrics
    directory: Path

    async def show(self) -> None:
        """Put the step in force that is to be looked at."""
        step = self.plan.steps[1]
        await self.rehearsal.target.apply(step)
        sys.stdout.write(f"step {step.name} is in force; nobody asks, so nothing is judged\n")

    async def judge(self, *, keep: bool) -> int:
        """Walk the steps to the verdict; return the exit code."""
        plan, rehearsal = self.plan, self.rehearsal
        about = about_of(plan, "the access log of the rehearsal's Envoy", rehearsal.notes)
        events: list[Event] = []
        state = DirectoryState(self.directory)
        verdict: Verdict | None = None
        async with open_checker(rehearsal.gateway, rehearsal.host) as checker:
            with open_progress(about) as progress, self._sampling(progress):
                listeners = [events.append, self.metrics.tell, self._share, progress.tell]
                telling = Telling(plan, state, time.time, listeners)
                world = World(rehearsal.target, rehearsal.source, state, telling, checker)
                try:
                    verdict = await Controller(plan, world).run()
                finally:
                    if keep and events:
                        self._write(events, about)
        if keep:
            sys.stdout.write(f"report: {self.directory / 'report.html'}\n")
        sound = await self._compare_counters()
        sys.stdout.flush()
        return CODES[verdict] if sound else ERROR

    @contextlib.contextmanager
    def _sampling(self, progress: Progress) -> Iterator[None]:
        """Show the last whole second, each second."""

        async def show() -> None:
            while True:
                await asyncio.sleep(1)
                if last := self.drawn.last():
                    progress.sample(last)

        task = asyncio.get_running_loop().create_task(show())
        try:
            yield
        finally:
            task.cancel()

    def _share(self, event: Event) -> None:
        self.drawn.share = event.share

    def _write(self, events: list[Event], about: About) -> None:
        samples = self.drawn.samples()
        page = render_report(events, samples, about)
        (self.directory / "report.html").write_text(page, encoding="utf-8")
        (self.directory / "report.json").write_text(
            render_json(events, samples, about), encoding="utf-8"
        )

    async def _compare_counters(self) -> bool:
        """Say which counters are wrong; return whether none is."""
        for left in reversed(range(_COUNTER_TRIES)):
            try:
                wrong = await self.rehearsal.traffic.check_counters()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                # The release that answers may be one that is rehearsed to fail.
                if not left:
                    sys.stderr.write(f"warning: the counters can't be compared: {error}\n")
                continue
            for counter, by in wrong.items():
                sys.stderr.write(
                    f"counter {counter} is off by {by:+d}: an increment was lost or made twice\n"
                )
            return not wrong
        return True


def _shortened(plan: Plan, arguments: argparse.Namespace) -> Plan:
    """Return the plan with the rehearsal's times, and the steps that were asked for."""
    if arguments.poll > arguments.step_time:
        raise Refused("--poll is longer than --step-time; look more often than that")
    first, *others = plan.steps
    if arguments.step is not None:
        names = [step.name for step in others]
        if arguments.step not in names:
            raise Refused(f"--step {arguments.step}: the steps are {', '.join(names)}")
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


def _say_where(rehearsal: Rehearsal, took: float) -> None:
    lines = [
        f"up in {took:.1f} s: curl -H 'Host: {rehearsal.host}' {rehearsal.gateway}/",
        f"metrics: {rehearsal.metrics}",
    ]
    if rehearsal.prometheus:
        lines.append(f"prometheus: {rehearsal.prometheus}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _directory(report: str | None) -> Iterator[Path]:
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
        raise Refused(f"--report {report}: {error.strerror}; name another directory") from None
    yield directory


async def _serve() -> None:
    sys.stdout.write("it stays up; Ctrl-C ends it\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
