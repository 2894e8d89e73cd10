"""The subcommands ``pause``, ``resume`` and ``abort``: they control a running rollout."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Final

from ..runner.state_store import ControlCommand
from .arguments import add_plan_arguments, add_state_arguments, load_plan_of, open_state_store
from .exit_codes import ERROR, run_command


@dataclass(frozen=True, slots=True)
class ControlSubcommand:
    """Sends a control command to the runner of a rollout."""

    NAME: str
    command: ControlCommand

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        add_plan_arguments(parser)
        add_state_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Send the command; return the exit code."""
        return run_command(self.NAME, self._send(arguments))

    async def _send(self, arguments: argparse.Namespace) -> int:
        plan = (await load_plan_of(arguments)).plan
        async with open_state_store(arguments, plan) as store:
            saved = await store.load()
            if saved is None or saved["ended"]:
                sys.stderr.write(
                    f"no rollout of {plan.name} is running; tallykv-rollout status shows the last"
                    " one\n"
                )
                return ERROR
            await store.send_command(self.command)
        sys.stdout.write(
            f"{self.command.value} was sent to the runner; if no runner is active, the next"
            " tallykv-rollout run carries it out\n"
        )
        return 0


PAUSE: Final = ControlSubcommand("pause", ControlCommand.PAUSE)
RESUME: Final = ControlSubcommand("resume", ControlCommand.RESUME)
ABORT: Final = ControlSubcommand("abort", ControlCommand.ABORT)
