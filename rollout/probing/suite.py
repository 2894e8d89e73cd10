"""A file of assertions with the manifests that it is about, at each of their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ..lint.kustomize import CouldNotRun
from ..lint.yaml_documents import YamlDocument, YamlInvalid, parse_documents
from ..routing.assertions import (
    Assertion,
    AssertionFile,
    AssertionsInvalid,
    parse_assertions,
    paths,
)
from .manifest_sources import AppliedStep, is_test_file, read_documents, read_steps

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml: this loader is slower, otherwise the same.
    from yaml import SafeLoader  # type: ignore[assignment]

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Suite:
    """The assertions of a file; without step directories there is one step without a name."""

    file: str
    spec: AssertionFile
    #: The line of each assertion.
    lines: tuple[int, ...]
    steps: tuple[AppliedStep, ...]

    def cases(self) -> Iterator[tuple[int, int, Assertion]]:
        """Yield step and index of each assertion that holds at the step."""
        for step, applied in enumerate(self.steps):
            for index, each in enumerate(self.spec.tests):
                if each.holds_at(applied.name):
                    yield step, index, each


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says in place of a file."""

    manifests: Sequence[str] = ()
    given: Sequence[str] = ()
    namespace: str | None = None


def find_test_files(names: Sequence[str]) -> list[Path]:
    """Return the files of assertions: those named, and those in directories; raise CouldNotRun."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*.y*ml")) if is_test_file(each.name)]
            if not inside:
                raise CouldNotRun(f"{name} has no file that ends in .test.yaml")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise CouldNotRun(f"{name} does not exist")
    return found


def load_suite(file: Path, overrides: Overrides) -> Suite:
    """Read a file and the manifests it names; raise AssertionsInvalid or CouldNotRun."""
    document, spec = read_assertions(file)
    folder = file.parent
    namespace = overrides.namespace or spec.namespace
    given_names = [*overrides.given] or [_beside(folder, each) for each in paths(spec.given)]
    given = read_documents(given_names, namespace) if given_names else ()
    step_names = [_beside(folder, each) for each in paths(spec.steps)]
    named = "manifests" in spec.model_fields_set
    own = [*overrides.manifests]
    if not own and (named or not step_names):
        own = [_beside(folder, each) for each in paths(spec.manifests)]
    documents = (*given, *(read_documents(own, namespace) if own else ()))
    if not step_names or overrides.manifests:
        return Suite(str(file), spec, _lines(document), (AppliedStep("", documents),))
    steps = tuple(read_steps(step_names, documents, namespace))
    _check_steps(file, spec, document, steps)
    return Suite(str(file), spec, _lines(document), steps)


def read_assertions(file: Path) -> tuple[YamlDocument, AssertionFile]:
    """Parse a file of assertions; raise AssertionsInvalid."""
    try:
        documents = [*parse_documents(file.read_text("utf-8"))]
    except YamlInvalid as error:
        raise AssertionsInvalid(f"{file}:{error.line or 1}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AssertionsInvalid(f"{file} can't be read: {error}") from None
    if len(documents) != 1:
        raise AssertionsInvalid(f"{file}:1: a file of assertions has one document")
    return documents[0], parse_assertions(documents[0].value, str(file), documents[0])


def _check_steps(
    file: Path, spec: AssertionFile, document: YamlDocument, steps: Sequence[AppliedStep]
) -> None:
    names = ", ".join(each.name for each in steps)
    for index, each in enumerate(spec.tests):
        for at in each.at:
            alone = each.model_copy(update={"at": [at]})
            if not any(alone.holds_at(step.name) for step in steps):
                line = document.line_of(f"tests[{index}].at")
                raise AssertionsInvalid(f"{file}:{line}: there is no step {at}; there are {names}")


def _lines(document: YamlDocument) -> tuple[int, ...]:
    """Return the line of each assertion; ``line_of`` reads the document again for each."""
    root = yaml.compose(document.text, Loader=SafeLoader)
    for key, value in root.value if root else ():
        if key.value == "tests":
            return tuple(each.start_mark.line + 1 for each in value.value)
    return ()


def _beside(folder: Path, name: str) -> str:
    return name if name == STDIN else str(folder / name)
