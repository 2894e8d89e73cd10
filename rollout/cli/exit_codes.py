"""What the exit codes mean, and how a command ends that can't go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from ..lint.kustomize import CouldNotRun
from ..plan.plan_file import PlanInvalid
from ..rehearsal.errors import RehearsalFailed
from ..runner.controller import Verdict
from ..runner.ports import TargetFailed
from ..runner.state import StateFailed
from ..runner.status import StandingInvalid

PROMOTED: Final = 0
ROLLED_BACK: Final = 1
ERROR: Final = 2
INCONCLUSIVE: Final = 3
INTERRUPTED: Final = 130
TERMINATED: Final = 143

CODES: Final = {
    Verdict.PROMOTED: PROMOTED,
    Verdict.ROLLED_BACK: ROLLED_BACK,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
}
EXPLAINED: Final = (
    "exit code: 0 promoted, 1 rolled back, 2 it could not be done, 3 inconclusive, 130 interrupted,"
    " 143 terminated"
)


class Refused(Exception):
    """The command can't be carried out as it was given; the message says what to change."""


class Terminated(Exception):
    """SIGTERM came, and everything was ended as after a Ctrl-C."""


def run_command(name: str, doing: Coroutine[Any, Any, int], *, interrupted: str = "") -> int:
    """Run a command to its exit code; ``interrupted`` is said after a Ctrl-C or a SIGTERM."""
    try:
        return asyncio.run(_until_terminated(doing))
    except KeyboardInterrupt:
        sys.stderr.write(f"tallykv-rollout {name}: interrupted{interrupted}\n")
        return INTERRUPTED
    except Terminated:
        sys.stderr.write(f"tallykv-rollout {name}: terminated{interrupted}\n")
        return TERMINATED
    except (BrokenPipeError, SystemExit):
        # So rich leaves where nobody reads any more; its 1 would mean that it was rolled back.
        _mute()
        sys.stderr.write(f"tallykv-rollout {name}: nobody reads what it says{interrupted}\n")
        return ERROR
    except (
        Refused,
        PlanInvalid,
        CouldNotRun,
        RehearsalFailed,
        TargetFailed,
        StandingInvalid,
        StateFailed,
    ) as error:
        sys.stderr.write(f"tallykv-rollout {name}: {error}\n")
        return ERROR


async def _until_terminated(doing: Coroutine[Any, Any, int]) -> int:
    """Let SIGTERM cancel what is done, as asyncio does for Ctrl-C; raise Terminated then."""
    task = asyncio.ensure_future(doing)
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


def _mute() -> None:
    """Keep Python from failing to write at its end what nobody reads."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
