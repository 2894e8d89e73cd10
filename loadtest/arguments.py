"""The load test's own options on Locust's command line. Each is also an environment variable."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from locust.argument_parser import LocustArgumentParser

from .shapes.curves import SHAPES
from .thresholds import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The own options, and the options of Locust that a shape needs."""

    shape: str
    host_header: str
    user_rate: float
    keys: int
    thresholds: Path
    report_dir: Path | None
    metrics_port: int
    step_seconds: float
    users: int
    seconds: float


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the options. They are texts and numbers, because a master sends them to its workers."""
    parser.add_argument(
        "--load-shape",
        choices=SHAPES,
        default="none",
        env_var="LOAD_SHAPE",
        help="how the number of users changes; knee: steps until the objective breaks",
    )
    parser.add_argument(
        "--host-header",
        default="",
        env_var="LOAD_HOST_HEADER",
        help="Host header, where the address of the gateway is not its name",
    )
    parser.add_argument(
        "--user-rate",
        type=float,
        default=10.0,
        env_var="LOAD_USER_RATE",
        help="most tasks of a user per second; 0: the next one follows the answer",
    )
    parser.add_argument(
        "--keys", type=int, default=1000, env_var="LOAD_KEYS", help="keys of the entries"
    )
    parser.add_argument(
        "--thresholds",
        default=str(DEFAULT),
        env_var="LOAD_THRESHOLDS",
        include_in_web_ui=False,
        help="TOML file with the thresholds, which decide the exit code",
    )
    parser.add_argument(
        "--report-dir",
        default="",
        env_var="LOAD_REPORT_DIR",
        include_in_web_ui=False,
        help="directory for versions, routes, answers, failures and the knee as CSV, versions.html",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        default=0,
        env_var="LOAD_METRICS_PORT",
        include_in_web_ui=False,
        help="port of /metrics, by version; 0: none",
    )
    parser.add_argument(
        "--step-seconds",
        type=float,
        default=5.0,
        env_var="LOAD_STEP_SECONDS",
        help="of each step of the search for the knee",
    )


def read_arguments(options: Namespace) -> Arguments:
    """Return the options that Locust has parsed."""
    return Arguments(
        shape=options.load_shape,
        host_header=options.host_header,
        user_rate=float(options.user_rate),
        keys=int(options.keys),
        thresholds=Path(options.thresholds),
        report_dir=Path(options.report_dir) if options.report_dir else None,
        metrics_port=int(options.metrics_port),
        step_seconds=float(options.step_seconds),
        users=options.num_users or 50,
        seconds=float(options.run_time or 30),
    )
