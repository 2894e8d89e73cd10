"""A runner that is killed at any moment leaves nothing wrong, and the next one decides alike."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.runner.directory_state_store import DirectoryState

ROOT: Final = Path(__file__).parents[3]
SECONDS: Final = 60


def run(directory: Path, errors: float, kill_at: int | None = None) -> dict[str, Any] | None:
    """Run a runner; return what it says at the end, None if it was killed before."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.rollout.runner.runner_process",
            str(directory / "town.json"),
            str(directory / "state"),
            str(errors),
            *([] if kill_at is None else [str(kill_at)]),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def town_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "town.json").read_text())
    return found


@pytest.mark.parametrize("errors", [0.0, 0.2], ids=["good", "bad"])
def test_a_kill_at_any_moment_around_a_change_changes_no_decision(
    tmp_path: Path, errors: float
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    said = run(whole, errors)
    assert said is not None
    history = town_of(whole)["history"]
    assert history == (["0", "1", "2", "3"] if errors == 0 else ["0", "1", "0"])

    def kill_and_go_on(moment: int) -> None:
        directory = tmp_path / str(moment)
        directory.mkdir()
        assert run(directory, errors, moment) is None
        step = town_of(directory)["step"]
        kept = asyncio.run(DirectoryState(directory / "state").load())
        # Nothing is in force that was not written down before.
        if step is not None:
            assert kept is not None
            assert int(step) in {kept["step"], kept["intended"]}, moment
        again = run(directory, errors)
        assert again is not None
        assert again["verdict"] == said["verdict"], moment
        assert town_of(directory)["history"] == history, moment

    # Before and after the decision is written, the routes are changed, and that is written.
    moments = {
        moment for change in said["changes"] for moment in range(max(1, change - 1), change + 3)
    }
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(kill_and_go_on, sorted(moments)))
