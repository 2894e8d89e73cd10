"""``python -m loadtest.load``: one load test from start to verdict, its exit code included."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.frame.errors import BenchError, Interrupted, unwind_on_signals
from bench.frame.program import say
from bench.testbed.servers import running_tallykv

from .load_options import STOP_SECONDS, LoadOptions, locust_arguments, parse_options

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
#: For locust's reports, once its users are gone.
REPORT_SECONDS: Final = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Return locust's exit code: 0, or 1 for broken thresholds; 2 if there was no run."""
    options = parse_options(argv)
    unwind_on_signals()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with _target(options) as host:
            code = _run_locust([str(LOCUSTFILE), *locust_arguments(options, host)])
    except (BenchError, Interrupted, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    if not options.web:
        say(f"reports: {options.out}/report.html, versions.html, *.csv")
    return code


@contextlib.contextmanager
def _target(options: LoadOptions) -> Iterator[str]:
    """Give the URL to ask: the one given, or that of a service that ends with the block."""
    if options.host is not None:
        yield options.host
        return
    cores = tuple(sorted(os.sched_getaffinity(0)))
    with (
        tempfile.TemporaryDirectory(prefix="load-data-") as directory,
        running_tallykv("embedded:", cores, KV_DATA_DIR=directory) as service,
    ):
        host = f"http://127.0.0.1:{service.port}"
        say(f"a service of our own: {host}, metrics at http://127.0.0.1:{service.admin_port}")
        yield host


def _run_locust(arguments: list[str]) -> int:
    """Run locust to its end; when we are interrupted, ask it to stop and report, and see to it."""
    command = [sys.executable, "-m", "locust", "-f", *arguments]
    # A session of its own: Ctrl-C in a terminal reaches us alone, and locust once.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as locust:
        try:
            return locust.wait()
        except Interrupted:
            locust.terminate()
            try:
                locust.wait(STOP_SECONDS + REPORT_SECONDS)
            except subprocess.TimeoutExpired:
                locust.kill()
            raise


if __name__ == "__main__":
    sys.exit(main())
