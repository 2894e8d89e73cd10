"""Listeners of Locust's events: they count answers by release, and judge the run at its end."""

from __future__ import annotations

import threading
import time
from typing import Any

from locust.env import Environment
from locust.event import Events
from locust.runners import WorkerRunner

from .arguments import Arguments, add_arguments, read_arguments
from .checks.answers import WrongAnswer
from .reports import metrics
from .reports.releases import AnswerKind, Release, ReleaseCounts
from .reports.summary import judge, print_summary, write_reports
from .shapes.curves import CURVES, KNEE
from .shapes.knee_search import KneeSearch
from .shapes.locust_shapes import CurveShape, KneeShape
from .thresholds import ThresholdsInvalid, read_thresholds
from .users.base import TallyUser
from .users.run_state import RunState

#: The field of a worker's report to its master.
_FIELD = "tallykv"


def install(events: Events) -> None:
    """Add the listeners."""
    recorder = Recorder()
    hooks: Any = events  # not typed
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(recorder.begin)
    hooks.test_start.add_listener(recorder.reset)
    hooks.request.add_listener(recorder.count)
    hooks.report_to_master.add_listener(recorder.report)
    hooks.worker_report.add_listener(recorder.collect)
    hooks.quitting.add_listener(recorder.end)


class Recorder:
    """Counts by release, in this process or for all workers, and judges at the end."""

    def __init__(self) -> None:
        self._counts = ReleaseCounts()
        self._search: KneeSearch | None = None
        self._ended = False

    def begin(self, environment: Environment, **_: Any) -> None:
        """Read the options. Locust has started its worker processes by now."""
        # Lets gevent's loop update its clock. Locust's --run-time counts from its last update,
        # which was before the imports.
        time.sleep(0.001)
        arguments = _arguments(environment)
        _prepare_users(arguments)
        if isinstance(environment.runner, WorkerRunner):
            return
        try:
            thresholds = read_thresholds(arguments.thresholds)
        except ThresholdsInvalid as error:
            raise SystemExit(f"load: {error}") from error
        if arguments.shape == KNEE:
            self._search = KneeSearch(thresholds.knee, min(10, arguments.users), arguments.users)
            environment.shape_class = KneeShape(self._search, arguments.step_seconds)
        elif curve := CURVES.get(arguments.shape):
            environment.shape_class = CurveShape(curve, arguments.users, arguments.seconds)
        if environment.shape_class is not None:
            environment.shape_class.runner = environment.runner
        if arguments.metrics_port:
            metrics.serve_metrics(arguments.metrics_port, lambda: self._exposed(environment))

    def reset(self, **_: Any) -> None:
        """Reset the counts, as Locust does with its own."""
        self._counts.clear()

    def count(
        self,
        *,
        request_type: str,
        name: str,
        response_time: float,
        response: Any,
        exception: Exception | None,
        **_: Any,
    ) -> None:
        """Count a request of a user of this process."""
        headers = response.headers if response is not None and response.headers else {}
        self._counts.add(
            Release(str(headers.get("kv-version", "")), str(headers.get("kv-track", ""))),
            AnswerKind(request_type, name, response.status_code if response is not None else 0),
            response_time / 1000,
            time.time(),
            failed=exception is not None,
            wrong=isinstance(exception, WrongAnswer),
        )

    def report(self, *, data: dict[str, Any], **_: Any) -> None:
        """Add the counts of a worker to its report."""
        data[_FIELD] = self._counts.dump()
        self._counts.clear()

    def collect(self, *, data: dict[str, Any], **_: Any) -> None:
        """Add the counts in the report of a worker, which may be of a version without them."""
        if _FIELD in data:
            self._counts.absorb(ReleaseCounts.load(data[_FIELD]))

    def end(self, environment: Environment, **_: Any) -> None:
        """Print the summary, write the reports, and set the exit code."""
        runner = environment.runner
        if runner is None or isinstance(runner, WorkerRunner):
            return
        # After SIGTERM users still run, and their answers count. A thread waits for them, because
        # a signal handler cannot.
        stopping = threading.Thread(target=runner.quit)
        stopping.start()
        stopping.join()
        # The end of the runner wakes Locust's main greenlet, which calls this listener too.
        if self._ended:
            return
        self._ended = True
        arguments = _arguments(environment)
        verdicts = judge(
            read_thresholds(arguments.thresholds), runner.stats, self._counts, self._search
        )
        print_summary(self._counts, verdicts, self._search)
        if runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted:
            print("Locust had too little CPU time: latencies are too high, and the knee too low")
        if arguments.report_dir is not None:
            write_reports(arguments.report_dir, runner.stats, self._counts, self._search)
        failed = any(not verdict.holds for verdict in verdicts) or bool(runner.exceptions)
        environment.process_exit_code = 1 if failed else 0

    def _exposed(self, environment: Environment) -> str:
        runner = environment.runner
        users = runner.user_count if runner is not None else 0
        return metrics.render(self._counts, users)


def _prepare_users(arguments: Arguments) -> None:
    TallyUser.run_state = RunState(keys=arguments.keys, user_rate=arguments.user_rate)
    if arguments.host_header:
        TallyUser.default_headers = {"Host": arguments.host_header}


def _arguments(environment: Environment) -> Arguments:
    if environment.parsed_options is None:
        raise SystemExit("load: this locustfile needs Locust's command line")
    return read_arguments(environment.parsed_options)
