"""Runs a plan in a rehearsal to its verdict: controller, progress, reports, check of counters."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from ..evidence.failures import is_failure
from ..plan.model import Plan
from ..rehearsal.client_results import name_of
from ..rehearsal.rehearsal import Rehearsal
from ..rehearsal.samples import SampleRecorder
from ..report.html_report import render_html
from ..report.json_report import render_json
from ..report.plan_summary import PlanSummary, summarize_plan
from ..report.terminal import ProgressView, open_progress
from ..runner.controller import Controller
from ..runner.decisions import Verdict
from ..runner.directory_state_store import DirectoryStateStore
from ..runner.event_recorder import EventRecorder
from ..runner.events import Event
from ..runner.metrics import RolloutMetrics
from ..runner.ports import Ports
from ..runner.smoke_tests import open_smoke_tester
from .exit_codes import ERROR, VERDICT_CODES

#: Attempts to read all counters at the end.
_COUNTER_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class RehearsedRollout:
    """A plan, a running rehearsal, and the directory for its state and reports."""

    plan: Plan
    rehearsal: Rehearsal
    seconds: SampleRecorder
    metrics: RolloutMetrics
    directory: Path

    async def apply_first_step(self) -> None:
        """Apply the first step that gives the canary requests."""
        step = self.plan.steps[1]
        await self.rehearsal.target.apply(step)
        sys.stdout.write(f"step {step.name} is in force; --rate is 0, so there is no verdict\n")

    async def run(self, *, keep: bool) -> int:
        """Run the steps to the verdict; return the exit code. ``keep`` writes the report."""
        plan, rehearsal = self.plan, self.rehearsal
        about = summarize_plan(plan, "the access log of the rehearsal's Envoy", rehearsal.notes)
        events: list[Event] = []
        store = DirectoryStateStore(self.directory)
        verdict: Verdict | None = None
        async with open_smoke_tester(
            rehearsal.gateway, rehearsal.host, rehearsal.entrances[0].tls
        ) as run_smoke_test:
            with open_progress(about) as progress, self._showing_seconds(progress):
                listeners = [
                    events.append,
                    self.metrics.observe_event,
                    self._set_share,
                    progress.show_event,
                ]
                recorder = EventRecorder(plan, store, time.time, listeners)
                ports = Ports(rehearsal.target, rehearsal.source, store, recorder, run_smoke_test)
                try:
                    verdict = await Controller(plan, ports).run()
                finally:
                    if keep and events:
                        self._write_reports(events, about)
        if keep:
            sys.stdout.write(f"report: {self.directory / 'report.html'}\n")
        self._print_client_results()
        correct = await self._check_counters()
        sys.stdout.flush()
        return VERDICT_CODES[verdict] if correct else ERROR

    @contextlib.contextmanager
    def _showing_seconds(self, progress: ProgressView) -> Iterator[None]:
        """Show the last complete second, once per second."""

        async def show() -> None:
            while True:
                await asyncio.sleep(1)
                if last := self.seconds.last():
                    progress.show_sample(last)

        task = asyncio.get_running_loop().create_task(show())
        try:
            yield
        finally:
            task.cancel()

    def _set_share(self, event: Event) -> None:
        self.seconds.share = event.share

    def _write_reports(self, events: list[Event], about: PlanSummary) -> None:
        samples = self.seconds.samples()
        page, document = render_html(events, samples, about), render_json(events, samples, about)
        (self.directory / "report.html").write_text(page, encoding="utf-8")
        (self.directory / "report.json").write_text(document, encoding="utf-8")

    def _print_client_results(self) -> None:
        """Say what the clients saw: also failures that reached neither release."""
        results = self.rehearsal.load_generator.results
        failed = {
            status: count
            for status, count in sorted(results.by_status.items())
            if is_failure(status)
        }
        line = f"clients: {results.requests} requests, {sum(failed.values())} failed"
        if failed:
            line += f" ({', '.join(f'{name_of(each)}: {n}' for each, n in failed.items())})"
        sys.stdout.write(line + "\n")

    async def _check_counters(self) -> bool:
        """Compare the service's counters with the requests; return False if one is wrong."""
        for left in reversed(range(_COUNTER_TRIES)):
            try:
                wrong = await self.rehearsal.load_generator.check_counters()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                # The release that answers may be one that fails on purpose.
                if not left:
                    sys.stderr.write(f"warning: the counters can't be read: {error}\n")
                continue
            for counter, by in wrong.items():
                sys.stderr.write(
                    f"counter {counter} is off by {by:+d}: an increment was lost or made twice\n"
                )
            return not wrong
        return True
