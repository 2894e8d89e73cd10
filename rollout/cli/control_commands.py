"""The subcommands ``pause``, ``resume`` and ``abort``: they control a running rollout."""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass
from typing import Final

from ..cluster.kubeconfig import open_client
from ..runner.state_store import ControlCommand, StateCorrupt
from .exit_codes import ERROR, run_command
from .rollout_name import add_name_arguments, find_rollout
from .state_arguments import add_state_arguments, is_in_cluster, state_store


@dataclass(frozen=True, slots=True)
class ControlSubcommand:
    """Sends a control command to the runner of a rollout."""

    NAME: str
    command: ControlCommand

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        add_name_arguments(parser)
        add_state_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Send the command; return the exit code."""
        return run_command(self.NAME, self._send(arguments))

    async def _send(self, arguments: argparse.Namespace) -> int:
        rollout = find_rollout(arguments.rollout, arguments.namespace)
        async with contextlib.AsyncExitStack() as stack:
            client = None
            if is_in_cluster(arguments):
                client = await stack.enter_async_context(
                    open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
                )
            store = state_store(arguments, rollout, client)
            # A runner that is active goes on with a damaged state, so it must hear the command.
            with contextlib.suppress(StateCorrupt):
                saved = await store.load()
                if saved is None or saved["ended"]:
                    sys.stderr.write(
                        f"no rollout of {rollout} is running; tallykv-rollout status shows the"
                        " last one\n"
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
