"""Build a directory with kubectl or kustomize, and tell which files a kustomization names."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .yaml_text import YamlInvalid, read_documents

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: A build that fetches nothing takes a second.
TIMEOUT_SECONDS: Final = 120.0


class CouldNotRun(Exception):
    """Nothing can be said of the manifests; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Built:
    """``text`` is empty if the build failed: then ``failure`` says why."""

    text: str
    warnings: tuple[str, ...] = ()
    failure: str = ""


def kustomization_in(directory: Path) -> Path | None:
    """Return the kustomization of a directory, None if it has none."""
    return next((file for name in NAMES if (file := directory / name).is_file()), None)


def build(directory: Path) -> Built:
    """Build a directory; raise CouldNotRun if nothing here can."""
    command = _command()
    try:
        done = subprocess.run(  # noqa: S603 - the two commands below, and a directory
            [*command, str(directory)],
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Built("", failure=f"it took longer than {TIMEOUT_SECONDS:g} s")
    except OSError as error:
        raise CouldNotRun(f"{command[0]} can't be run: {error.strerror or error}") from None
    said = done.stderr.strip()
    if done.returncode:
        return Built("", failure=said.removeprefix("error: ") or f"exit code {done.returncode}")
    return Built(done.stdout, tuple(_warnings(said)))


def _command() -> list[str]:
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    if kustomize := shutil.which("kustomize"):
        return [kustomize, "build"]
    raise CouldNotRun(
        "neither kubectl nor kustomize is on the PATH; install kubectl 1.21 or later,"
        " or give files that need no building"
    )


def _warnings(said: str) -> Iterator[str]:
    for line in said.splitlines():
        if "deprecated" in line.lower():
            yield line.strip().removeprefix("# ").removeprefix("Warning: ")


def is_component(kustomization: Path) -> bool:
    """Tell whether a kustomization is a Component, which only others can use."""
    return any(
        isinstance(document, dict) and document.get("kind") == "Component"
        for document in _documents(kustomization)
    )


def named_by(kustomization: Path) -> Iterator[Path]:
    """Yield the files and directories that a kustomization names in whatever field."""
    for document in _documents(kustomization):
        for text in _texts(document):
            # A generator's file may be written as key=path.
            for said in {text, text.partition("=")[2]}:
                if said and "\n" not in said and len(said) < 1024:
                    path = kustomization.parent / said
                    if path.exists():
                        yield path.resolve()


def _documents(file: Path) -> Iterator[Any]:
    try:
        yield from (document.value for document in read_documents(file.read_text()))
    except (YamlInvalid, OSError, UnicodeDecodeError):
        return  # kustomize says it better


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
