"""Exit codes: each way in which a command may end has its own."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rollout.cli.exit_codes import ERROR, INTERRUPTED, TERMINATED, UsageError, run_command
from rollout.runner.ports import ManagedByOther
from rollout.runner.state_store import StateHeld


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, TERMINATED, "tallykv-rollout run: terminated; it goes on\n"),
        (signal.SIGINT, INTERRUPTED, "tallykv-rollout run: interrupted; it goes on\n"),
    ],
)
def test_a_signal_cancels_the_command(
    number: signal.Signals, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            unwound.append("all of it")
        return 0

    assert run_command("run", work(), interrupted=lambda: "; it goes on") == code
    assert unwound == ["all of it"]
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [UsageError("no"), ManagedByOther("no"), StateHeld("no")])
def test_an_error_exits_with_2_and_its_message(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert run_command("run", work()) == ERROR
    assert capsys.readouterr().err == "tallykv-rollout run: no\n"


@pytest.mark.parametrize("error", [SystemExit(1), BrokenPipeError()])
def test_a_closed_output_pipe_is_no_verdict(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert run_command("run", work()) == ERROR
    assert "the output pipe was closed" in capsys.readouterr().err
