"""The command line. Start reading here; ``tallykv serve`` goes on in serve_command.py."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from .client_command import add_client_commands, run_client_command
from .settings import FIELDS, FLAGS, env_name, flag_name, shown_default
from .token_command import add_token_command, run_token_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    _replace_closed_streams()
    try:
        return _run(vars(build_parser().parse_args(argv)))
    except KeyboardInterrupt:  # while it loads what it needs; later each command has its own way
        return 128 + signal.SIGINT


def _replace_closed_streams() -> None:
    """Put nothing in the place of standard streams that are closed.

    The next socket would take the stream's number, and libuv aborts the process when it closes one
    of these. Python has None for a closed stream: print would write errors to standard output,
    where the values are.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _run(arguments: dict[str, Any]) -> int:
    if "verb" in arguments:
        return run_token_command(arguments, os.environ)
    if "call" in arguments:
        return run_client_command(arguments)
    # What serves takes long to import, and no other command needs it.
    from .serve_command import run_serve

    return run_serve(arguments, os.environ)


class Parser(argparse.ArgumentParser):
    """Refuses arguments without repeating their values: a URL in the wrong place is a secret."""

    def error(self, message: str) -> NoReturn:
        head, found, rest = message.partition("unrecognized arguments: ")
        if found:
            names = [each.partition("=")[0] for each in rest.split() if each.startswith("--")]
            message = head + found + (" ".join(names) or "***")
        message = re.sub(r"=.* could match", " could match", message)
        message = re.sub(r"invalid choice: .* \(choose", "invalid choice (choose", message)
        message = re.sub(r"invalid (?:int|float) value: .*", "it is not a number", message)
        super().error(message)


def build_parser() -> argparse.ArgumentParser:
    """Build the command line: one flag for each setting, whose value load_settings parses."""
    parser = Parser(prog=_program(), description="key-value and counter service over Redis")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="serve|token|get|put|incr|ls|watch|rm")
    serving = commands.add_parser(
        "serve",
        help="serve until SIGTERM or SIGINT",
        description="Serve until SIGTERM or SIGINT. Each flag is also an environment variable.",
    )
    add_token_command(commands)
    add_client_commands(commands)
    # The supervisor starts workers with it. A command without help is not listed.
    worker = commands.add_parser("worker")
    worker.add_argument("--parent", type=int, required=True)
    worker.add_argument("--channel", type=int, required=True)
    for command in (serving, worker):
        _add_settings(command)
    return parser


def _program() -> str:
    """Return the name by which this program was started: as a module, or as a script."""
    return f"python -m {__package__}" if Path(sys.argv[0]).name == "__main__.py" else "tallykv"


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for name in FLAGS:
        declared = FIELDS[name]
        parser.add_argument(
            flag_name(name),
            dest=name,
            metavar="VALUE",
            help=f"{declared.metadata['doc']} [{env_name(name)}={shown_default(name)}]".replace(
                "%", "%%"
            ),
        )


if __name__ == "__main__":
    sys.exit(main())
