"""A runner may be killed at any moment; the next one continues with the same decisions."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.events import VERDICTS, parse_event
from tests.support.manifests import ROOT

NURSERIES: Final = 2


class Nursery:
    """A process that forks runners: faster than starting Python for each."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.rollout.runner.runner_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, directory: Path, errors: float, kill_at: int | None = None
    ) -> dict[str, Any] | None:
        """Run a runner in a process; return its result, None if it was killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(directory), errors, kill_at]) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        if code == -signal.SIGKILL:
            return None
        assert code == 0
        result: dict[str, Any] = json.loads((directory / "result.json").read_text())
        return result


@pytest.fixture
def nurseries() -> Iterator[list[Nursery]]:
    started = [Nursery() for _ in range(NURSERIES)]
    yield started
    for each in started:
        each.process.communicate()


def service_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "service.json").read_text())
    return found


def verdicts_of(directory: Path) -> list[str]:
    """Return the verdicts in the journal."""
    lines = (directory / "state" / "events.jsonl").read_text().splitlines()
    return [event.kind.value for event in map(parse_event, lines) if event.kind in VERDICTS]


@pytest.mark.parametrize("errors", [0.0, 0.2], ids=["good", "bad"])
def test_a_kill_at_any_moment_around_a_change_changes_no_decision(
    tmp_path: Path, nurseries: list[Nursery], errors: float
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    result = nurseries[0].run(whole, errors)
    assert result is not None
    history = service_of(whole)["history"]
    assert history == (["0", "1", "2", "3"] if errors == 0 else ["0", "1", "0"])

    def kill_and_resume(nursery: Nursery, moment: int) -> None:
        directory = tmp_path / str(moment)
        directory.mkdir()
        assert nursery.run(directory, errors, moment) is None
        step = service_of(directory)["step"]
        saved = asyncio.run(DirectoryStateStore(directory / "state").load())
        # No step is in force that was not saved before.
        if step is not None:
            assert saved is not None
            assert int(step) in {saved["step"], saved["intended"]}, moment
        again = nursery.run(directory, errors)
        assert again is not None
        assert again["verdict"] == result["verdict"], moment
        assert service_of(directory)["history"] == history, moment
        assert verdicts_of(directory) == verdicts_of(whole), moment

    # Before and after each of three writes: the decision, the routes, and the state after that.
    moments = {
        moment for change in result["changes"] for moment in range(max(1, change - 1), change + 3)
    }
    # Between the verdict in the journal and the state that says it is there, and after that.
    moments |= {result["moments"] - 1, result["moments"]}
    assert len(verdicts_of(whole)) == 1

    def kill_some(number: int) -> None:
        for moment in sorted(moments)[number::NURSERIES]:
            kill_and_resume(nurseries[number], moment)

    with ThreadPoolExecutor(NURSERIES) as pool:
        list(pool.map(kill_some, range(NURSERIES)))
