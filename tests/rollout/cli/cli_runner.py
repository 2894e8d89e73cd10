"""Calls tallykv-rollout in this process; the arguments of ``run`` and of control commands."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout.__main__ import main
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import ControlCommand
from tests.rollout.cli.example_service import FakeIngressGateway
from tests.support.api_server import ApiServer
from tests.support.waiting import until


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


def call_test(*arguments: str | Path) -> Result:
    """Call ``test`` with files whose assertions hold.

    Each share that it counts is refused by chance once in 60,000, and there are dozens. A request
    that a busy machine holds up is repeated, and counts for a copy. So a second run decides.
    """
    first = call("test", *arguments)
    by_count = any(each in first.out for each in (" % at ", " copies of "))
    return call("test", *arguments) if first.code == 1 and by_count else first


def events(state: Path) -> list[dict[str, Any]]:
    """Return the events that are recorded in a directory, none without one."""
    path = state / "events.jsonl"
    text = path.read_text() if path.exists() else ""
    # The last line may be incomplete while a runner writes.
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def has_held(state: Path, why: str, *, seconds: float = 0.0) -> bool:
    """Return True if a reason to hold was recorded, and the runner has polled for a while since."""
    held = [each["time"] for each in events(state) if why in each.get("detail", "")]
    if not held or not seconds:
        return bool(held)
    seen_at = json.loads((state / "state.json").read_text())["state"]["seen_at"]
    return bool(seen_at - held[0] > seconds)


def call_and_abort(state: Path, when: Callable[[], bool], *arguments: str | Path) -> Result:
    """Call a run in this process, and abort its rollout as soon as a condition holds."""
    ended = threading.Event()

    def abort() -> None:
        try:
            until(lambda: ended.is_set() or when(), seconds=180, what="the reason to abort")
        finally:
            asyncio.run(DirectoryStateStore(state).send_command(ControlCommand.ABORT))

    with ThreadPoolExecutor(1) as pool:
        aborting = pool.submit(abort)
        try:
            return call(*arguments)
        finally:
            ended.set()
            aborting.result()
