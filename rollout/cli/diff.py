"""The subcommand ``diff``: which requests two sets of manifests treat differently."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, Final

from ..probing.comparison import compare
from ..probing.comparison_text import FORMATS
from ..probing.manifest_sources import at_revision, read_documents
from ..probing.mesh import Mesh
from .exit_codes import run_command

NAME: Final = "diff"
_EPILOG: Final = """\
Finds the classes of requests that the matches of both sides tell apart, sends one request of each
class that may be treated differently through a real Envoy on both sides, and shows those that are.

  tallykv-rollout diff istio/canary/steps/10 istio/canary/steps/25 --given istio/gateway
  tallykv-rollout diff main:deploy deploy              a directory at a git revision, and as it is
  tallykv-rollout diff old.yaml new.yaml --format markdown
  helm template chart | tallykv-rollout diff live.yaml -

exit code: 0 no difference, 1 some differences, or something that is not compared has changed,
2 the comparison could not run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    for name in ("old", "new"):
        add(
            name,
            metavar=name.upper(),
            help="a directory, a file, - for standard input, or REVISION:PATH in git",
        )
    add(
        "--given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="manifests that are in the cluster on both sides (repeatable)",
    )
    add(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of objects that name none (default: default)",
    )
    add("--format", choices=FORMATS, default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Compare; return the exit code."""
    return run_command(NAME, _diff(arguments))


async def _diff(arguments: argparse.Namespace) -> int:
    sides = await asyncio.to_thread(_read, arguments)
    old, new = (Mesh(each) for each in sides)
    comparison = await compare(old, new)
    sys.stdout.write(FORMATS[arguments.format](comparison))
    return 0 if comparison.is_empty else 1


def _read(arguments: argparse.Namespace) -> list[Sequence[Any]]:
    """Return the objects of both sides."""
    given = read_documents(arguments.given, arguments.namespace) if arguments.given else ()
    found: list[Sequence[Any]] = []
    for name in (arguments.old, arguments.new):
        with contextlib.ExitStack() as stack:
            path = stack.enter_context(at_revision(name))
            found.append((*given, *read_documents([path], arguments.namespace)))
    return found
