"""Runners of a rollout, each the real command in a process of its own, forked from one nursery."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.rollout.cli.example_service import write_rollout
from tests.rollout.faults.world import NAMESPACE, PATIENT_SECONDS, World
from tests.support.manifests import ROOT
from tests.support.waiting import until

_TIMES: Final = "stepTime: 1s\npoll: 200ms\ndeadline: 20m\nwarmUp: 100ms\n"


@dataclass
class Runner:
    """A process that runs ``tallykv-rollout run``."""

    nursery: Nursery
    pid: int
    errors: Path
    code: int | None = None

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def has_ended(self) -> bool:
        if self.code is None:
            answer = self.nursery.ask({"poll": self.pid})
            self.code = None if answer == "running" else int(answer)
        return self.code is not None

    def wait(self) -> int:
        until(lambda: self.has_ended, seconds=PATIENT_SECONDS, what="the end of the runner")
        assert self.code is not None
        return self.code


class Nursery:
    """Forks runners: starting Python and linting the plan for each would take seconds."""

    def __init__(self, world: World, plan: str = "") -> None:
        """``plan`` are further lines of plan.yaml."""
        self._world = world
        directory = world.directory / f"rollout-{time.monotonic_ns()}"
        self._plan = write_rollout(directory, NAMESPACE, _TIMES + plan)
        self._kubeconfig = world.server.kubeconfig(world.directory / "kubeconfig")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rollout.faults.nursery", str(self._plan)],
            cwd=ROOT,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._runners: list[Runner] = []

    @property
    def kubeconfig(self) -> Path:
        return self._kubeconfig

    def ask(self, question: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def start(self, *more: str) -> Runner:
        """Start a runner; ``more`` are further arguments of ``run``."""
        errors = self._world.directory / f"{time.monotonic_ns()}.err"
        prometheus = f"http://127.0.0.1:{self._world.prometheus_port}"
        arguments = [
            "run", str(self._plan), "--prometheus", prometheus, "--settle", "0s",
            "--kubeconfig", str(self._kubeconfig), *more,
        ]  # fmt: skip
        pid = int(self.ask({"start": arguments, "errors": str(errors)}))
        runner = Runner(self, pid, errors)
        self._runners.append(runner)
        return runner

    def stop_all(self) -> None:
        for each in self._runners:
            if not each.has_ended:
                each.signal(signal.SIGKILL)
                each.wait()
        self._runners.clear()

    def close(self) -> None:
        self.stop_all()
        self._process.communicate()


@contextlib.contextmanager
def running_nursery(world: World, plan: str = "") -> Iterator[Nursery]:
    """Keep a nursery until the block ends; its runners end with it."""
    nursery = Nursery(world, plan)
    try:
        yield nursery
    finally:
        nursery.close()
