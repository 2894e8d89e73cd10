"""What is done when locust starts, counts, reports and ends; the locustfile installs it."""

from __future__ import annotations

import threading
import time
from typing import Any

from locust.env import Environment
from locust.event import Events
from locust.runners import WorkerRunner

from . import exposition
from .arguments import KNEE, Arguments, add_arguments, read_arguments
from .checks import WrongAnswer
from .knee import KneeSearch
from .metrics_server import serve_metrics
from .reporting import judge, tell, write_reports
from .shapes.curves import CURVES
from .shapes.knee import KneeShape
from .shapes.timed import TimedShape
from .thresholds import ThresholdsInvalid, read_thresholds
from .users.base import TallyUser
from .users.run import Run
from .versions import Question, Release, Tally

#: Where a worker's report to its master has its tally.
_FIELD = "tallykv"


def install(events: Events) -> None:
    """Listen to all that concerns us."""
    recorder = Recorder()
    hooks: Any = events  # not typed
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(recorder.begin)
    hooks.test_start.add_listener(recorder.forget)
    hooks.request.add_listener(recorder.count)
    hooks.report_to_master.add_listener(recorder.hand_over)
    hooks.worker_report.add_listener(recorder.take_over)
    hooks.quitting.add_listener(recorder.end)


class Recorder:
    """Counts by version, in this process or for all workers, and judges in the end."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._search: KneeSearch | None = None
        self._ended = False

    def begin(self, environment: Environment, **_: Any) -> None:
        """Read the options: locust has forked by now."""
        # Lets the loop look at the clock: locust's --run-time counts from when it last did, which
        # was before all was imported.
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
            environment.shape_class = TimedShape(curve, arguments.users, arguments.seconds)
        if environment.shape_class is not None:
            environment.shape_class.runner = environment.runner
        if arguments.metrics_port:
            serve_metrics(arguments.metrics_port, lambda: self._exposed(environment))

    def forget(self, **_: Any) -> None:
        """Start anew, as locust's own numbers do."""
        self._tally.clear()

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
        """Take in one request of a user of this process."""
        headers = response.headers if response is not None and response.headers else {}
        self._tally.add(
            Release(str(headers.get("kv-version", "")), str(headers.get("kv-track", ""))),
            Question(request_type, name, response.status_code if response is not None else 0),
            response_time / 1000,
            time.time(),
            failed=exception is not None,
            wrong=isinstance(exception, WrongAnswer),
        )

    def hand_over(self, *, data: dict[str, Any], **_: Any) -> None:
        """Put a worker's counts into its report."""
        data[_FIELD] = self._tally.dump()
        self._tally.clear()

    def take_over(self, *, data: dict[str, Any], **_: Any) -> None:
        """Add what a worker reports; one of another release may have nothing for us."""
        if _FIELD in data:
            self._tally.absorb(Tally.load(data[_FIELD]))

    def end(self, environment: Environment, **_: Any) -> None:
        """Print, write, and set the exit code."""
        runner = environment.runner
        if runner is None or isinstance(runner, WorkerRunner):
            return
        # After SIGTERM users still run: what they are told yet belongs to the numbers. Not here, as
        # locust's users can't be waited for where a signal is handled.
        stopping = threading.Thread(target=runner.quit)
        stopping.start()
        stopping.join()
        # Which wakes locust's main part, too, and that ends the same way.
        if self._ended:
            return
        self._ended = True
        arguments = _arguments(environment)
        verdicts = judge(
            read_thresholds(arguments.thresholds), runner.stats, self._tally, self._search
        )
        tell(self._tally, verdicts, self._search)
        if runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted:
            print("locust itself had no CPU to spare: latencies are too high, the knee too low")
        if arguments.report_dir is not None:
            write_reports(arguments.report_dir, runner.stats, self._tally, self._search)
        failed = any(not verdict.holds for verdict in verdicts) or bool(runner.exceptions)
        environment.process_exit_code = 1 if failed else 0

    def _exposed(self, environment: Environment) -> str:
        runner = environment.runner
        users = runner.user_count if runner is not None else 0
        return exposition.render(self._tally, users)


def _prepare_users(arguments: Arguments) -> None:
    TallyUser.run_state = Run(keys=arguments.keys, user_rate=arguments.user_rate)
    if arguments.host_header:
        TallyUser.default_headers = {"Host": arguments.host_header}


def _arguments(environment: Environment) -> Arguments:
    if environment.parsed_options is None:
        raise SystemExit("load: this locustfile is for the command line")
    return read_arguments(environment.parsed_options)
