"""A runner may be killed at any moment; the next one continues with the same decisions."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.runner_process import run_rollout

SECONDS: Final = 60
#: Starts processes that have imported everything already.
PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.rollout.runner.runner_process"])


def run(directory: Path, errors: float, kill_at: int | None = None) -> dict[str, Any] | None:
    """Run a runner in a process; return its result, None if it was killed."""
    process = PROCESSES.Process(target=run_rollout, args=(directory, errors, kill_at))
    process.start()
    process.join(SECONDS)
    assert process.exitcode is not None, "the runner did not end"
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0
    result: dict[str, Any] = json.loads((directory / "result.json").read_text())
    return result


def service_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "service.json").read_text())
    return found


@pytest.mark.parametrize("errors", [0.0, 0.2], ids=["good", "bad"])
def test_a_kill_at_any_moment_around_a_change_changes_no_decision(
    tmp_path: Path, errors: float
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    result = run(whole, errors)
    assert result is not None
    history = service_of(whole)["history"]
    assert history == (["0", "1", "2", "3"] if errors == 0 else ["0", "1", "0"])

    def kill_and_resume(moment: int) -> None:
        directory = tmp_path / str(moment)
        directory.mkdir()
        assert run(directory, errors, moment) is None
        step = service_of(directory)["step"]
        saved = asyncio.run(DirectoryStateStore(directory / "state").load())
        # No step is in force that was not saved before.
        if step is not None:
            assert saved is not None
            assert int(step) in {saved["step"], saved["intended"]}, moment
        again = run(directory, errors)
        assert again is not None
        assert again["verdict"] == result["verdict"], moment
        assert service_of(directory)["history"] == history, moment

    # Before and after each of three writes: the decision, the routes, and the state after that.
    moments = {
        moment for change in result["changes"] for moment in range(max(1, change - 1), change + 3)
    }
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(kill_and_resume, sorted(moments)))
