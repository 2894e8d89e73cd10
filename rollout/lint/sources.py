"""Collects manifests from files, kustomizations, directory trees and standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .findings import Location
from .kustomize import CouldNotRun, build, find_kustomization, is_component, referenced_paths
from .linter import Bundle
from .resource_parser import ManifestText
from .rule import InputProblem, Problem

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml"})
#: What makes a directory a Helm chart.
_CHART: Final = "Chart.yaml"
_PARALLEL_BUILDS: Final = 4
_DIGITS: Final = re.compile(r"(\d+)")


def collect(names: Sequence[str]) -> list[Bundle]:
    """Return the bundles to check: all files as one bundle, and one or more per directory.

    Raise CouldNotRun if a name does not exist, can't be read, or holds no manifests.
    """
    bundles: list[Bundle] = []
    files: list[ManifestText] = []
    for name in names:
        if name == STDIN:
            files.append(ManifestText("<stdin>", sys.stdin.read()))
        elif (path := _existing(name)).is_dir():
            bundles += _bundles_in(path)
        else:
            files.append(_read(path))
    if files:
        bundles.append(Bundle("", tuple(files)))
    return bundles


def collect_steps(names: Sequence[str]) -> list[Bundle]:
    """Return the steps of a plan in their order; raise CouldNotRun.

    A directory is a step, and so is a YAML file. A directory that has only numbered directories
    stands for those, in the order of their numbers.
    """
    steps: list[Path] = []
    for name in names:
        path = _existing(name)
        if path.is_dir():
            steps += _steps_in(path)
        elif path.suffix in _SUFFIXES:
            steps.append(path)
        else:
            raise CouldNotRun(f"{name} is no directory and no YAML file; a step is one of these")
    with ThreadPoolExecutor(_PARALLEL_BUILDS) as pool:
        return list(pool.map(_step, steps))


def _steps_in(directory: Path) -> Iterator[Path]:
    if find_kustomization(directory) or _manifest_files(directory):
        yield directory
        return
    numbered = [each for each in directory.iterdir() if each.is_dir() and each.name[0].isdigit()]
    if not numbered:
        raise CouldNotRun(
            f"{directory} holds no steps: it has no manifests and no directory whose name begins"
            " with a number; name the steps themselves, in their order"
        )
    for each in sorted(numbered, key=_natural_order):
        yield from _steps_in(each)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(path.name)
    ]


def _step(directory: Path) -> Bundle:
    if directory.is_file():
        return Bundle(str(directory), (_read(directory),))
    if kustomization := find_kustomization(directory):
        return _built(kustomization, None)
    return Bundle(str(directory), tuple(_read(file) for file in _manifest_files(directory)))


def _bundles_in(directory: Path) -> Iterator[Bundle]:
    if kustomization := find_kustomization(directory):
        yield _built(kustomization, None)
        return
    tree = _Tree.of(directory)
    if not (tree.kustomizations or tree.plain_files or tree.charts):
        raise CouldNotRun(f"{directory} holds no manifests: no file ends in .yaml or .yml")
    # A component is incomplete on its own. It is checked with the kustomizations that use it.
    components = [each for each in tree.kustomizations if is_component(each)]
    complete = [each for each in tree.kustomizations if each not in components]
    with ThreadPoolExecutor(_PARALLEL_BUILDS) as pool:
        yield from pool.map(lambda each: _built(each, str(directory)), complete)
    used = {path for each in tree.kustomizations for path in referenced_paths(each)}
    texts = tuple(
        _read(file, discovered=True) for file in tree.plain_files if file.resolve() not in used
    )
    problems = tuple(
        _unused_component(each) for each in components if each.parent.resolve() not in used
    )
    problems += tuple(map(_chart, tree.charts))
    if texts or problems:
        yield Bundle(str(directory), texts, problems, str(directory))


def _unused_component(component: Path) -> InputProblem:
    what = "the component is not checked, because no kustomization here uses it"
    remedy = "lint a kustomization that uses it, or the component's directory"
    return InputProblem("not-checked", Problem(Location(str(component)), "", what, remedy))


def _chart(chart: Path) -> InputProblem:
    what = "a Helm chart is not checked: its templates are no manifests"
    remedy = f"check its output: helm template {chart.parent} | tallykv-rollout lint -"
    return InputProblem("not-checked", Problem(Location(str(chart)), "", what, remedy))


@dataclass(frozen=True, slots=True)
class _Tree:
    """The kustomizations and Helm charts of a directory tree, and its other YAML files."""

    kustomizations: tuple[Path, ...]
    charts: tuple[Path, ...]
    plain_files: tuple[Path, ...]

    @classmethod
    def of(cls, directory: Path) -> _Tree:
        kustomizations: list[Path] = []
        charts: list[Path] = []
        plain_files: list[Path] = []
        for folder, folders, files in os.walk(directory, onerror=_raise_unreadable):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            if _CHART in files:
                charts.append(Path(folder, _CHART))
                folders.clear()
            elif kustomization := find_kustomization(Path(folder)):
                kustomizations.append(kustomization)
            else:
                plain_files += _manifest_files(Path(folder))
        return cls(tuple(kustomizations), tuple(charts), tuple(plain_files))


def _manifest_files(directory: Path) -> list[Path]:
    return sorted(
        each for each in directory.iterdir() if each.suffix in _SUFFIXES and each.is_file()
    )


def _raise_unreadable(error: OSError) -> None:
    raise CouldNotRun(f"{error.filename} can't be read: {error.strerror}")


def _built(kustomization: Path, tree: str | None) -> Bundle:
    directory, file = kustomization.parent, str(kustomization)
    result = build(directory)
    location = Location(file)
    if result.failure:
        what = f"kustomize can't build the directory: {result.failure}"
        failed = InputProblem(
            "build-failed", Problem(location, "", what, "correct the kustomization")
        )
        return Bundle(str(directory), (), (failed,), tree)
    deprecations = tuple(
        InputProblem(
            "kustomize-deprecated",
            Problem(location, "", warning, "run kustomize edit fix"),
        )
        for warning in result.warnings
    )
    return Bundle(
        str(directory), (ManifestText(file, result.text, built=True),), deprecations, tree
    )


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise CouldNotRun(f"{name} does not exist")
    return path


def _read(path: Path, *, discovered: bool = False) -> ManifestText:
    try:
        return ManifestText(str(path), path.read_text(encoding="utf-8"), discovered=discovered)
    except OSError as error:
        raise CouldNotRun(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CouldNotRun(f"{path} can't be read: it is not UTF-8") from None
