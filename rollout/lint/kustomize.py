"""Builds kustomizations with kubectl or kustomize, and lists the files that they use."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .yaml_documents import YamlInvalid, parse_documents

FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: A build that downloads nothing takes about a second.
TIMEOUT_SECONDS: Final = 120.0


class CouldNotRun(Exception):
    """The input can't be read or built at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The output of a build; if it failed, ``text`` is empty and ``failure`` says why."""

    text: str
    warnings: tuple[str, ...] = ()
    failure: str = ""


def find_kustomization(directory: Path) -> Path | None:
    """Return the kustomization file of a directory, None if it has none."""
    return next((file for name in FILE_NAMES if (file := directory / name).is_file()), None)


def build(directory: Path) -> BuildResult:
    """Build a directory; raise CouldNotRun if neither kubectl nor kustomize can be started."""
    command = _command()
    try:
        done = subprocess.run(  # noqa: S603 - one of the two commands below, and a directory
            [*command, str(directory)],
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return BuildResult("", failure=f"it took longer than {TIMEOUT_SECONDS:g} s")
    except OSError as error:
        raise CouldNotRun(f"{command[0]} can't be started: {error.strerror or error}") from None
    output = done.stderr.strip()
    if done.returncode:
        reason = output.removeprefix("error: ") or f"exit code {done.returncode}"
        return BuildResult("", failure=reason)
    return BuildResult(done.stdout, tuple(_deprecations(output)))


def _command() -> list[str]:
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    if kustomize := shutil.which("kustomize"):
        return [kustomize, "build"]
    raise CouldNotRun(
        "neither kubectl nor kustomize is on the PATH; install kubectl 1.21 or later,"
        " or name files that need no build"
    )


def _deprecations(output: str) -> Iterator[str]:
    for line in output.splitlines():
        if "deprecated" in line.lower():
            yield line.strip().removeprefix("# ").removeprefix("Warning: ")


def is_component(kustomization: Path) -> bool:
    """Return True if the kustomization is a Component, which only builds as part of another."""
    return any(
        isinstance(document, dict) and document.get("kind") == "Component"
        for document in _documents(kustomization)
    )


def referenced_paths(kustomization: Path) -> Iterator[Path]:
    """Yield the existing files and directories that any field of a kustomization names."""
    for document in _documents(kustomization):
        for text in _texts(document):
            # A generator may name its file as key=path.
            for name in {text, text.partition("=")[2]}:
                if name and "\n" not in name and len(name) < 1024:
                    path = kustomization.parent / name
                    if path.exists():
                        yield path.resolve()


def _documents(file: Path) -> Iterator[Any]:
    try:
        yield from (document.value for document in parse_documents(file.read_text()))
    except (YamlInvalid, OSError, UnicodeDecodeError):
        return  # The build reports it with a better message.


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
