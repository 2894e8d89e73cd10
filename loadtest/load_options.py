"""What ``python -m loadtest.load`` is asked for, and locust's command line for it. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: User classes by profile; none is all of them by their weights.
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
SHAPES: Final = ("none", "ramp", "spike", "soak", "knee")
#: Users finish the request they wait for before a run ends; else its counts would not agree.
STOP_SECONDS: Final = 15


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """``rest`` goes to locust as it is."""

    host: str | None
    host_header: str
    profile: str
    shape: str
    users: int
    spawn_rate: float
    run_time: str
    thresholds: Path | None
    out: Path
    metrics_port: int
    web: bool
    web_port: int
    rest: tuple[str, ...] = ()


def parse_options(argv: Sequence[str] | None = None) -> LoadOptions:
    """Read the command line; what stands after ``--`` is locust's."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.load",
        description="Load a service and judge what it answers: 0 all is well, 1 a threshold is"
        " broken or an answer was wrong, 2 it could not be done. Without --host a service of its"
        " own is started, on a store of its own.",
        epilog="Several processes: `-- --processes 4` on this machine; on several,"
        " `-- --master --expect-workers 4` here, and `python -m locust -f loadtest/locustfile.py"
        " --worker --master-host HERE` with the same files on each of them. All options after --"
        " are locust's: --user-rate, --keys, --step-seconds, --tags and so on.",
    )
    parser.add_argument("--host", help="URL of the service, a gateway or a rehearsal")
    parser.add_argument("--host-header", default="", help="Host to ask for, as kv.example.com")
    parser.add_argument("--profile", choices=PROFILES, default="mixed", help="who asks what")
    parser.add_argument(
        "--shape",
        choices=SHAPES,
        default="none",
        help="how the users change over the run; knee: steps until the objective breaks",
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
    parser.add_argument("rest", nargs="*", metavar="-- locust's own options")
    given = parser.parse_args(argv)
    return LoadOptions(
        host=given.host.rstrip("/") if given.host else None,
        host_header=given.host_header,
        profile=given.profile,
        shape=given.shape,
        users=given.users,
        spawn_rate=given.spawn_rate or given.users,
        run_time=given.run_time,
        thresholds=given.thresholds,
        out=given.out,
        metrics_port=given.metrics_port,
        web=given.web,
        web_port=given.web_port,
        rest=tuple(given.rest),
    )


def locust_arguments(options: LoadOptions, host: str) -> list[str]:
    """Return locust's arguments, all but the locustfile."""
    arguments = [
        *("--host", host),
        *("--users", str(options.users), "--spawn-rate", f"{options.spawn_rate:g}"),
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
    return [*arguments, *options.rest, *PROFILES[options.profile]]
