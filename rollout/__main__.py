"""``tallykv-rollout``: start reading here: one subcommand a package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol


class Command(Protocol):
    """What a subcommand's module has."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a module's constant

    @property
    def SUMMARY(self) -> str: ...  # noqa: N802

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; return the exit code."""


def load_commands() -> tuple[Command, ...]:
    """Return the subcommands; what they need is an extra of the package."""
    # Here, so that main can say what is missing.
    from .cli import control, lint, rehearse, run  # noqa: PLC0415

    return (lint, rehearse, run, control.STATUS, control.PAUSE, control.RESUME, control.ABORT)


def build_parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Build the command line of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="tallykv-rollout", description="check, rehearse and run a release's rollout"
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        subparser = subparsers.add_parser(
            command.NAME, help=command.SUMMARY, description=f"{command.SUMMARY}."
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    try:
        commands = load_commands()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"tallykv-rollout needs {error.name}: pip install 'tallykv[rollout]'\n")
        return 2
    arguments = build_parser(commands).parse_args(argv)
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
