"""The subcommand ``completion``: a script that completes the commands and flags in a shell."""

from __future__ import annotations

import argparse
import sys
from typing import Final

import shtab

_EPILOG: Final = """\
  tallykv-rollout completion bash > ~/.local/share/bash-completion/completions/tallykv-rollout
  tallykv-rollout completion zsh > "${fpath[1]}/_tallykv-rollout"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="whose script to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the script; return the exit code."""
    # Imported here: the module of all subcommands imports this one.
    from ..__main__ import COMMANDS, build_parser  # noqa: PLC0415

    sys.stdout.write(shtab.complete(build_parser(*COMMANDS), shell=arguments.shell))
    return 0
