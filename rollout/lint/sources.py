"""Where manifests come from: files, directories that kustomize builds, whole trees of both."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .documents import Remark, Text
from .findings import Place
from .kustomize import CouldNotRun, build, is_component, kustomization_in, named_by
from .linting import Bundle

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_BUILDS_AT_ONCE: Final = 4
_NUMBERED: Final = re.compile(r"(\d+)")


def collect(names: Sequence[str]) -> list[Bundle]:
    """Return what is to be linted: all files as one bundle, each directory on its own."""
    bundles: list[Bundle] = []
    files: list[Text] = []
    for name in names:
        if name == STDIN:
            files.append(Text("<stdin>", sys.stdin.read()))
        elif (path := _existing(name)).is_dir():
            bundles += _directory(path)
        else:
            files.append(_read(path))
    if files:
        bundles.append(Bundle("", tuple(files)))
    return bundles


def collect_steps(names: Sequence[str]) -> list[Bundle]:
    """Return the steps of a plan in their order.

    A directory is a step; one that only holds numbered directories stands for these.
    """
    steps: list[Path] = []
    for name in names:
        directory = _existing(name)
        if not directory.is_dir():
            raise CouldNotRun(f"{name} is no directory: a plan is made of directories")
        steps += _steps_in(directory)
    with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
        return list(pool.map(_step, steps))


def _steps_in(directory: Path) -> Iterator[Path]:
    if kustomization_in(directory) or _files(directory):
        yield directory
        return
    numbered = [each for each in directory.iterdir() if each.is_dir() and each.name[0].isdigit()]
    if not numbered:
        raise CouldNotRun(
            f"{directory} holds no steps: no manifests, and no directory whose name begins with"
            " a number; name the steps themselves, in their order"
        )
    for each in sorted(numbered, key=_by_number):
        yield from _steps_in(each)


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERED.split(path.name)
    ]


def _step(directory: Path) -> Bundle:
    kustomization = kustomization_in(directory)
    if kustomization:
        return _built(directory, kustomization, None)
    return Bundle(str(directory), tuple(_read(file) for file in _files(directory)))


def _directory(directory: Path) -> Iterator[Bundle]:
    if kustomization := kustomization_in(directory):
        yield _built(directory, kustomization, None)
        return
    tree = _Tree.of(directory)
    components = [each for each in tree.kustomizations if is_component(each)]
    # Incomplete by design: whoever uses it is checked with it.
    whole = [each for each in tree.kustomizations if each not in components]
    with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
        yield from pool.map(lambda each: _built(each.parent, each, str(directory)), whole)
    used = {path for each in tree.kustomizations for path in named_by(each)}
    loose = tuple(_read(file, found=True) for file in tree.loose if file.resolve() not in used)
    remarks = tuple(_unused(each) for each in components if each.parent.resolve() not in used)
    if not (tree.kustomizations or tree.loose):
        raise CouldNotRun(f"{directory} holds no manifests: no file ends in .yaml or .yml")
    if loose or remarks:
        yield Bundle(str(directory), loose, remarks, str(directory))


def _unused(component: Path) -> Remark:
    return Remark(
        "not-checked",
        Place(str(component)),
        "",
        "the component is not checked: no kustomization here uses it",
        "lint what uses it, or the component's directory itself",
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """The kustomizations of a tree, and the files outside their directories."""

    kustomizations: tuple[Path, ...]
    loose: tuple[Path, ...]

    @classmethod
    def of(cls, directory: Path) -> _Tree:
        kustomizations: list[Path] = []
        loose: list[Path] = []
        for folder, folders, _ in os.walk(directory, onerror=_unreadable):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            if kustomization := kustomization_in(Path(folder)):
                kustomizations.append(kustomization)
            else:
                loose += _files(Path(folder))
        return cls(tuple(kustomizations), tuple(loose))


def _files(directory: Path) -> list[Path]:
    return sorted(
        each for each in directory.iterdir() if each.suffix in _SUFFIXES and each.is_file()
    )


def _unreadable(error: OSError) -> None:
    raise CouldNotRun(f"{error.filename} can't be read: {error.strerror}")


def _built(directory: Path, kustomization: Path, tree: str | None) -> Bundle:
    file = str(kustomization)
    built = build(directory)
    place = Place(file)
    remarks = tuple(
        Remark(
            "kustomize-deprecated",
            place,
            "",
            warning,
            "kustomize edit fix does most of it",
        )
        for warning in built.warnings
    )
    if built.failure:
        failed = Remark(
            "build-failed", place, "", f"kustomize can't build it: {built.failure}", "mend it"
        )
        return Bundle(str(directory), (), (failed,), tree)
    return Bundle(str(directory), (Text(file, built.text, built=True),), remarks, tree)


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise CouldNotRun(f"{name} does not exist")
    return path


def _read(path: Path, *, found: bool = False) -> Text:
    try:
        return Text(str(path), path.read_text(encoding="utf-8"), found=found)
    except OSError as error:
        raise CouldNotRun(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CouldNotRun(f"{path} can't be read: it is not UTF-8") from None
