"""Which rollout a command is about: the namespace and name of the routes, or a plan's directory."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ..lint.kustomize import CouldNotRun, build, find_kustomization

_KINDS: Final = frozenset({"VirtualService", "HTTPRoute", "GRPCRoute"})
_PLAN: Final = "plan.yaml"
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class RolloutName:
    """Where a rollout's routes are."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def add_name_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the rollout; ``find_rollout`` uses it."""
    parser.add_argument(
        "rollout",
        metavar="ROLLOUT",
        help="the routes, as NAME or NAMESPACE/NAME, or the directory of the plan",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of a rollout without one (default: default)",
    )


def find_rollout(text: str, namespace: str) -> RolloutName:
    """Return the rollout that is meant.

    A directory is not linted, and only its first step is built: all steps change the same routes.
    Raise CouldNotRun.
    """
    path = Path(text)
    if path.is_file() or (path / _PLAN).is_file() or (path / "steps").is_dir():
        return _in_directory(path, namespace)
    where, slash, name = text.rpartition("/")
    if not name or "/" in where:
        raise CouldNotRun(f"{text} is neither a rollout nor a directory; write NAMESPACE/NAME")
    return RolloutName(where if slash else namespace, name)


def _in_directory(path: Path, namespace: str) -> RolloutName:
    directory = path if path.is_dir() else path.parent
    try:
        file = directory / _PLAN if path.is_dir() else path
        spec = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        named = spec.get("steps") if isinstance(spec, dict) else None
        steps = [directory / str(each) for each in named or []] or sorted(
            (each for each in (directory / "steps").iterdir() if each.is_dir()), key=_number
        )
        for document in _documents(steps[0]):
            if isinstance(document, dict) and document.get("kind") in _KINDS:
                metadata = document["metadata"]
                return RolloutName(str(metadata.get("namespace", namespace)), str(metadata["name"]))
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise CouldNotRun(f"{path} has no step that can be read ({error})") from error
    raise CouldNotRun(f"{steps[0]} has no routes; name the rollout instead: NAMESPACE/NAME")


def _documents(step: Path) -> list[Any]:
    if step.is_dir() and find_kustomization(step):
        built = build(step)
        if built.failure:
            raise CouldNotRun(f"{step} can't be built: {built.failure}")
        return list(yaml.safe_load_all(built.text))
    files = sorted(step.glob("*.y*ml")) if step.is_dir() else [step]
    return [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def _number(path: Path) -> tuple[int, str]:
    number = _NUMBER.match(path.name)
    return (int(number[0]) if number else 0), path.name
