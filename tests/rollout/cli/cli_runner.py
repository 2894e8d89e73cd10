"""Calls tallykv-rollout in this process; the arguments of ``run`` and of control commands."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from rollout.__main__ import main
from tests.rollout.cli.example_service import FakeIngressGateway
from tests.support.api_server import ApiServer


@dataclass(frozen=True)
class Cluster:
    server: ApiServer
    gateway: FakeIngressGateway
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
class Result:
    code: int
    out: str
    err: str


def call(*arguments: str | Path) -> Result:
    """Run a command in this process, which is faster than a new process; it must end by itself."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as exited:
            code = int(exited.code or 0)
    return Result(code, out.getvalue(), err.getvalue())
