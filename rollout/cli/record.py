"""The subcommand ``record``: writes a file of assertions from what manifests do now."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..lint.kustomize import CouldNotRun
from ..probing.manifest_sources import read_documents
from ..probing.mesh import Mesh
from ..probing.recording import record
from .exit_codes import run_command

NAME: Final = "record"
_EPILOG: Final = """\
Sends a request of each class that the matches tell apart through a real Envoy, and writes what
happened as assertions. Keep those that you mean, and let CI run test.

  tallykv-rollout record my/manifests --output my/manifests/routes.test.yaml
  tallykv-rollout test my/manifests
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("manifests", metavar="DIR|FILE|-", nargs="+", help="the manifests")
    add(
        "--given",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="manifests of what is in the cluster already (repeatable)",
    )
    add(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of objects that name none (default: default)",
    )
    add("--output", metavar="FILE", help="the file to write (default: standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Record; return the exit code."""
    return run_command(NAME, _record(arguments))


async def _record(arguments: argparse.Namespace) -> int:
    documents = await asyncio.to_thread(_read, arguments)
    mesh = Mesh(documents)
    for each in mesh.assumptions:
        sys.stderr.write(f"{each}\n")
    recording = await record(mesh)
    _write(arguments.output, recording.render(_head(arguments)))
    return 0


def _read(arguments: argparse.Namespace) -> Sequence[Any]:
    return read_documents([*arguments.given, *arguments.manifests], arguments.namespace)


def _head(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return where the file finds its manifests, from where it is."""
    folder = Path(arguments.output).parent if arguments.output else Path()

    def beside(names: Sequence[str]) -> list[str]:
        return [each if each == "-" else os.path.relpath(each, folder) for each in names]

    return {
        "manifests": beside(arguments.manifests),
        **({"given": beside(arguments.given)} if arguments.given else {}),
        **({"namespace": arguments.namespace} if arguments.namespace != "default" else {}),
    }


def _write(file: str | None, text: str) -> None:
    if file is None:
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise CouldNotRun(f"--output {file}: {error.strerror}") from None
