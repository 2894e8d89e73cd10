"""The load test's own options of locust's command line, each also an environment variable."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from locust.argument_parser import LocustArgumentParser

from .shapes.curves import CURVES
from .thresholds import DEFAULT

KNEE: Final = "knee"
SHAPES: Final = ("none", *CURVES, KNEE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What locust was told of ours, and what of its own a shape needs."""

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
    """Add our options to locust's: texts and numbers, for a master sends them to its workers."""
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
        help="Host to ask for, where the gateway's address is not its name",
    )
    parser.add_argument(
        "--user-rate",
        type=float,
        default=10.0,
        env_var="LOAD_USER_RATE",
        help="tasks of a user per second, at most; 0: as fast as it is answered",
    )
    parser.add_argument(
        "--keys", type=int, default=1000, env_var="LOAD_KEYS", help="keys of the entries"
    )
    parser.add_argument(
        "--thresholds",
        default=str(DEFAULT),
        env_var="LOAD_THRESHOLDS",
        include_in_web_ui=False,
        help="TOML file of what is demanded; it sets the exit code",
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
        help="of a step on the way to the knee",
    )


def read_arguments(options: Namespace) -> Arguments:
    """Read the options that locust parsed."""
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
