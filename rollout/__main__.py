"""The command line ``tallykv-rollout``. Start reading here: each subcommand is a module of cli."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from . import __version__


class Command(Protocol):
    """The interface of a subcommand: a module of cli, or an object in one."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the subcommand; return the exit code."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What ``--help`` says about a subcommand, and where it is: a module, or an object in it."""

    summary: str
    module: str
    attribute: str = ""

    def load(self) -> Command:
        # Imported only to be used: what one subcommand needs takes the others a second to load.
        module = importlib.import_module(f"{__package__}.cli.{self.module}")
        command: Command = getattr(module, self.attribute) if self.attribute else module
        return command


COMMANDS: Final = {
    "init": _Entry("write a first plan from manifests, or from what runs in the cluster", "init"),
    "lint": _Entry("find mistakes in Kubernetes and Istio manifests", "lint"),
    "test": _Entry("test what manifests do with requests: assertions, on a real Envoy", "test"),
    "record": _Entry("write assertions from what manifests do with requests now", "record"),
    "diff": _Entry("show which requests two sets of manifests treat differently", "diff"),
    "rehearse": _Entry(
        "roll out on this machine: the same manifests, a real Envoy, no cluster", "rehearse"
    ),
    "plan": _Entry("forecast a rollout: how likely each verdict is, and how long it takes", "plan"),
    "doctor": _Entry("say what a rollout lacks here, and what to do about it", "doctor"),
    "run": _Entry("roll out a release in a cluster, and roll back if the canary is worse", "run"),
    "pack": _Entry("write a plan into one ConfigMap, for a runner in the cluster", "pack"),
    "backtest": _Entry("judge a release of the past, from what Prometheus still has", "backtest"),
    "judge": _Entry("answer over HTTP whether a canary is worse, for other controllers", "judge"),
    "status": _Entry("show the step, the requests and the evidence of a rollout", "status"),
    "pause": _Entry(
        "stay at the current step; a bad canary is still rolled back", "control_commands", "PAUSE"
    ),
    "resume": _Entry("continue after a pause", "control_commands", "RESUME"),
    "abort": _Entry("roll back to stable now", "control_commands", "ABORT"),
    "completion": _Entry(
        "print a script that completes commands and flags in a shell", "completion"
    ),
}


def build_parser(*used: str) -> argparse.ArgumentParser:
    """Build the parser; only the subcommands ``used`` have their arguments."""
    parser = argparse.ArgumentParser(
        prog="tallykv-rollout",
        description="lint, rehearse and run a rollout over Istio",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, entry in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=entry.summary, description=f"{entry.summary}.")
        if name in used:
            command = entry.load()
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    # The first word that is no flag is the subcommand: no flag before it takes a value.
    named = next((each for each in arguments if not each.startswith("-")), "")
    try:
        parser = build_parser(named)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"tallykv-rollout needs {error.name}: pip install tallykv-rollout,"
            " or ./rollout in a checkout\n"
        )
        return 2
    parsed = parser.parse_args(arguments)
    code: int = parsed.run(parsed)
    return code


if __name__ == "__main__":
    sys.exit(main())
