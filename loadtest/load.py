"""``python -m loadtest.load``: one load test from start to verdict, with its exit code.

It runs outside the pod of the load test, so it alone may import bench.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.frame.errors import BenchError, Interrupted, unwind_on_signals
from bench.frame.processes import free_port, running
from bench.frame.program import say
from bench.testbed.servers import PATIENT, Service

from .shapes.curves import SHAPES

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
#: User classes by profile. No names mean all classes by their weights.
PROFILES: Final[Mapping[str, tuple[str, ...]]] = {
    "mixed": (),
    "entries": ("Entries",),
    "counters": ("HotCounter", "SpreadCounters"),
    "hot": ("HotCounter",),
    "batch": ("Batch",),
    "listing": ("Listing",),
    "plain": ("Plain",),
    "tasks": ("Tasks",),
}
#: Users finish their request before a run ends. Otherwise Locust and the service would not agree.
STOP_SECONDS: Final = 15
#: For Locust's reports after the end of its users.
REPORT_SECONDS: Final = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Return Locust's exit code: 0, or 1 for a broken threshold; 2 if there was no run."""
    options = parse_options(argv)
    unwind_on_signals()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with _target(options.host) as host:
            code = _run_locust([str(LOCUSTFILE), *locust_arguments(options, host)])
    except (BenchError, Interrupted, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    if not options.web:
        say(f"reports: {options.out}/report.html, versions.html, *.csv")
    return code


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. Options after ``--`` are in ``rest``, for Locust."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.load",
        description="Load a service and check its answers. Exit code: 0 if all thresholds hold and"
        " all answers were right, 1 if a threshold is broken or an answer was wrong, 2 if the test"
        " could not be run. Without --host, a service with a store of its own is started.",
        epilog="Several processes: `-- --processes 4` on this machine. On several machines,"
        " `-- --master --expect-workers 4` here, and `python -m locust -f loadtest/locustfile.py"
        " --worker --master-host HERE` with the same files on each of the others. All options"
        " after -- are Locust's: --user-rate, --keys, --step-seconds, --tags and so on.",
    )
    parser.add_argument("--host", type=_without_slash, help="URL of a service or a gateway")
    parser.add_argument("--host-header", default="", help="Host header, such as kv.example.com")
    parser.add_argument("--profile", choices=PROFILES, default="mixed", help="kinds of requests")
    parser.add_argument(
        "--shape",
        choices=SHAPES,
        default="none",
        help="how the number of users changes; knee: steps until the objective breaks",
    )
    parser.add_argument("--users", type=int, default=50, help="at most (default 50)")
    parser.add_argument("--spawn-rate", type=float, help="users a second (default: all at once)")
    parser.add_argument("--run-time", default="30s", help="as 30s, 10m, 1h (default 30s)")
    parser.add_argument("--thresholds", type=Path, help="TOML (default loadtest/thresholds.toml)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/load"), help="for reports (default build/load)"
    )
    parser.add_argument(
        "--metrics-port", type=int, default=0, help="port of /metrics, by version; 0: none"
    )
    parser.add_argument("--web", action="store_true", help="start the web UI instead of a run")
    parser.add_argument("--web-port", type=int, default=8089, help="its port (default 8089)")
    parser.add_argument("rest", nargs="*", metavar="-- options of Locust")
    return parser.parse_args(argv)


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def locust_arguments(options: argparse.Namespace, host: str) -> list[str]:
    """Return Locust's arguments after the locustfile."""
    arguments = [
        *("--host", host),
        *("--users", str(options.users)),
        *("--spawn-rate", f"{options.spawn_rate or options.users:g}"),
        *("--run-time", options.run_time, "--stop-timeout", str(STOP_SECONDS)),
        *("--load-shape", options.shape, "--report-dir", str(options.out)),
        *("--metrics-port", str(options.metrics_port)),
    ]
    if options.host_header:
        arguments += ["--host-header", options.host_header]
    if options.thresholds is not None:
        arguments += ["--thresholds", str(options.thresholds)]
    if options.web:
        arguments += ["--class-picker", "--web-host", "127.0.0.1"]
        arguments += ["--web-port", str(options.web_port)]
    else:
        arguments += ["--headless", "--only-summary"]
        arguments += ["--html", str(options.out / "report.html")]
    return [*arguments, *options.rest, *_meeting_point(options.rest), *PROFILES[options.profile]]


def _meeting_point(rest: Sequence[str]) -> list[str]:
    """Return a port for the processes of this run, if it has several on this machine alone.

    At Locust's usual port, those of another run would meet them.
    """
    names = {each.partition("=")[0] for each in rest}
    if "--processes" not in names or names & {"--master-bind-port", "--master-port", "--worker"}:
        return []
    port = str(free_port())
    return ["--master-bind-port", port, "--master-port", port]


@contextlib.contextmanager
def _target(host: str | None) -> Iterator[str]:
    """Yield the URL to load: ``host``, or that of a service that runs until the block ends."""
    if host:
        yield host
        return
    with (
        tempfile.TemporaryDirectory(prefix="load-data-") as directory,
        running(Service("embedded:", {**PATIENT, "KV_DATA_DIR": directory})) as service,
    ):
        url = f"http://127.0.0.1:{service.port}"
        say(f"started a service: {url}, metrics at http://127.0.0.1:{service.admin_port}")
        yield url


def _run_locust(arguments: list[str]) -> int:
    """Run Locust to its end. After a signal, let it stop its users and write its reports."""
    command = [sys.executable, "-m", "locust", "-f", *arguments]
    # In a session of its own, Locust gets one signal, from here, after Ctrl-C in a terminal.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as locust:
        try:
            return locust.wait()
        except Interrupted:
            locust.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                locust.wait(STOP_SECONDS + REPORT_SECONDS)
            raise
        finally:
            # Also workers: a master that could not start leaves them, and they look for it for
            # ever. macOS permits no signal to a group of which only its end is left to be fetched.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(locust.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
