"""Exit codes of rehearse, run and the commands for a running rollout; lint.py has those of lint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from ..lint.kustomize import CouldNotRun
from ..plan.plan_file import PlanInvalid
from ..rehearsal.errors import RehearsalFailed
from ..runner.decisions import Verdict
from ..runner.ports import TargetFailed
from ..runner.rollout_state import PlanChanged
from ..runner.state_store import StateFailed

PROMOTED: Final = 0
ROLLED_BACK: Final = 1
ERROR: Final = 2
INCONCLUSIVE: Final = 3
INTERRUPTED: Final = 130
TERMINATED: Final = 143

VERDICT_CODES: Final = {
    Verdict.PROMOTED: PROMOTED,
    Verdict.ROLLED_BACK: ROLLED_BACK,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
}
EXIT_CODES_HELP: Final = (
    "exit code: 0 promoted, 1 rolled back, 2 error, 3 inconclusive, 130 interrupted, 143 terminated"
)


class UsageError(Exception):
    """The command can't be carried out with these arguments; the message says what to change."""


class Terminated(Exception):
    """SIGTERM arrived, and the command was cancelled as after Ctrl-C."""


def run_command(
    name: str, command: Coroutine[Any, Any, int], *, interrupted: Callable[[], str] = str
) -> int:
    """Run a subcommand and return its exit code.

    What ``interrupted`` returns is appended to the message after a Ctrl-C or a SIGTERM.
    """
    try:
        return asyncio.run(_run_until_terminated(command))
    except KeyboardInterrupt:
        sys.stderr.write(f"tallykv-rollout {name}: interrupted{interrupted()}\n")
        return INTERRUPTED
    except Terminated:
        sys.stderr.write(f"tallykv-rollout {name}: terminated{interrupted()}\n")
        return TERMINATED
    except (BrokenPipeError, SystemExit):
        # rich raises SystemExit(1) on a broken pipe; 1 would mean that the canary was rolled back.
        _discard_output()
        sys.stderr.write(f"tallykv-rollout {name}: the output pipe was closed{interrupted()}\n")
        return ERROR
    except (
        UsageError,
        PlanInvalid,
        CouldNotRun,
        RehearsalFailed,
        TargetFailed,
        PlanChanged,
        StateFailed,
    ) as error:
        sys.stderr.write(f"tallykv-rollout {name}: {error}\n")
        return ERROR


async def _run_until_terminated(command: Coroutine[Any, Any, int]) -> int:
    """Cancel the command at SIGTERM and raise Terminated, as asyncio does for Ctrl-C."""
    task = asyncio.ensure_future(command)
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        if terminated:
            raise Terminated from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _discard_output() -> None:
    """Redirect stdout to /dev/null, because Python flushes it at exit and would fail again."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
