"""Asks a gate by a command: 0 goes on, 100 denies, every other exit code waits.

100, because shells and tools end with small numbers when they fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from typing import Final

from .gates import Answer, AskGate, GateAnswer, GateFailed, Question

_DENIES: Final = 100
_MAX_BYTES: Final = 200


def command_gate(command: Sequence[str]) -> AskGate:
    """Return the function that runs the command; it gets the question as JSON on stdin.

    The end of its output is the detail. At a timeout it is killed with its children.
    """

    async def ask(question: Question) -> GateAnswer:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )
        try:
            # Shielded: the command may run before this knows its process id.
            process = await asyncio.shield(starting)
            said, _ = await process.communicate(json.dumps(question).encode())
        except OSError as error:
            raise GateFailed(f"{command[0]} can't be run: {error.strerror}") from error
        finally:
            await _kill(starting)
        detail = said[-_MAX_BYTES:].decode(errors="replace").strip()
        code = process.returncode
        answer = Answer.GO_ON if code == 0 else Answer.DENY if code == _DENIES else Answer.WAIT
        return GateAnswer(answer, f"exit code {code} {detail}".strip())

    return ask


async def _kill(starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
    """Kill a command that has not ended, with its children."""
    with contextlib.suppress(OSError):
        process = await starting
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
