"""What ``run`` and the orders are told in tests, and a way to give them in this process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from rollout.__main__ import main
from tests.rollout.cli.example_service import Gateway
from tests.support.api_server import ApiServer


@dataclass(frozen=True)
class Cluster:
    server: ApiServer
    gateway: Gateway
    kubeconfig: Path
    prometheus: str

    def run(self, plan: Path, state: Path | str, *more: str) -> list[str | Path]:
        """Return the arguments of ``run``."""
        quick = ["--prometheus", self.prometheus, "--settle", "0s"]
        return ["run", *self.of(plan, state), *quick, *more]

    def of(self, plan: Path, state: Path | str) -> list[str | Path]:
        """Return the arguments that name a rollout."""
        return [plan, "--kubeconfig", self.kubeconfig, "--state", state]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def called(*arguments: str | Path) -> Said:
    """Run a command that ends by itself, in this process: starting one takes most of its time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as left:
            code = int(left.code or 0)
    return Said(code, out.getvalue(), err.getvalue())
