"""The command line ``tallykv-rollout``. Start reading here: each subcommand is a module of cli."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

from . import __version__


class Command(Protocol):
    """The interface of a subcommand's module."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a module's constant

    @property
    def SUMMARY(self) -> str: ...  # noqa: N802

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the subcommand; return the exit code."""


def load_commands() -> tuple[Command, ...]:
    """Import and return the subcommands."""
    # Imported here, so that ``main`` can name a dependency that is not installed.
    from .cli import control_commands, lint, rehearse, run, status  # noqa: PLC0415

    controls = (control_commands.PAUSE, control_commands.RESUME, control_commands.ABORT)
    return (lint, rehearse, run, status, *controls)


def build_parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Build the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="tallykv-rollout",
        description="lint, rehearse and run a rollout over Istio",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        subparser = subparsers.add_parser(
            command.NAME, help=command.SUMMARY, description=f"{command.SUMMARY}."
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit code."""
    try:
        commands = load_commands()
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"tallykv-rollout needs {error.name}: pip install tallykv-rollout,"
            " or ./rollout in a checkout\n"
        )
        return 2
    arguments = build_parser(commands).parse_args(argv)
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
