"""After a rehearsal ends in any way, no process and no file of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rollout.rehearsal.plans import canary_documents, need_programs, routes_of
from tests.support.manifests import ROOT
from tests.support.processes import is_running, name_of
from tests.support.waiting import until

END_SECONDS = 60.0


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    children: list[int]
    directory: Path


@contextmanager
def a_rehearsal() -> Iterator[Running]:
    """Run a rehearsal in a process of its own; kill by pid any process that it leaves."""
    need_programs()
    # Rendered in this process, which has the result cached.
    manifests = json.dumps([canary_documents(), routes_of("canary/steps/10")]).encode()
    children: list[int] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.rollout.rehearsal.rehearsal_program"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(manifests)
        process.stdin.close()
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the rehearsal did not start"
        started = json.loads(line)
        children += started["children"]
        yield Running(process, children, Path(started["directory"]))
    finally:
        process.kill()
        process.wait(END_SECONDS)
        assert process.stdout is not None
        process.stdout.close()
        for pid in filter(is_running, children):
            os.kill(pid, signal.SIGKILL)


def assert_children_end(running: Running) -> None:
    until(
        lambda: not any(map(is_running, running.children)),
        seconds=END_SECONDS,
        what="the end of the children",
    )


def test_ctrl_c_leaves_no_process_and_no_file() -> None:
    with a_rehearsal() as running:
        names = {name_of(pid) for pid in running.children}
        assert len(running.children) >= 4, names
        assert {"envoy", "redis-server"} <= names
        assert running.directory.is_dir()

        running.process.send_signal(signal.SIGINT)

        assert running.process.wait(END_SECONDS) == 0
        assert_children_end(running)
        assert not running.directory.exists()


def test_no_process_outlives_a_killed_one() -> None:
    with a_rehearsal() as running:
        running.process.kill()
        running.process.wait(END_SECONDS)

        assert_children_end(running)
        # The killed process can't remove its directory.
        shutil.rmtree(running.directory)
