"""However a command ends, its exit code says what became of it."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rollout.cli.exit_codes import ERROR, INTERRUPTED, TERMINATED, Refused, run_command
from rollout.runner.ports import NotOurs
from rollout.runner.state_store import StateHeld


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, TERMINATED, "tallykv-rollout run: terminated; it goes on\n"),
        (signal.SIGINT, INTERRUPTED, "tallykv-rollout run: interrupted; it goes on\n"),
    ],
)
def test_a_signal_unwinds_what_is_done(
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

    assert run_command("run", work(), interrupted="; it goes on") == code
    assert unwound == ["all of it"]
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [Refused("no"), NotOurs("no"), StateHeld("no")])
def test_what_can_not_be_done_leaves_with_2_and_the_reason(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert run_command("run", work()) == ERROR
    assert capsys.readouterr().err == "tallykv-rollout run: no\n"


@pytest.mark.parametrize("error", [SystemExit(1), BrokenPipeError()])
def test_output_that_nobody_reads_is_no_verdict(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert run_command("run", work()) == ERROR
    assert "nobody reads what it says" in capsys.readouterr().err
