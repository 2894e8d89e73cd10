"""Reads what people have: YAML, kustomizations, a chart's output, lists, directories of steps."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..lint.kustomize import CouldNotRun
from ..lint.linter import Bundle
from ..lint.sources import collect, collect_steps
from ..lint.yaml_documents import YamlInvalid, parse_documents
from ..manifests.kubernetes import WORKLOADS

#: How a file of assertions is named. Such a file is no manifest.
TEST_SUFFIXES: Final = (".test.yaml", ".test.yml")
_CLUSTER_WIDE: Final = frozenset({"Namespace", "GatewayClass", "CustomResourceDefinition"})
_LIST: Final = "List"

Document = Mapping[str, Any]


def is_test_file(name: str) -> bool:
    return name.endswith(TEST_SUFFIXES)


@dataclass(frozen=True, slots=True)
class AppliedStep:
    """The objects after a step, the last version of each; ``name`` is that of its directory."""

    name: str
    documents: tuple[Document, ...]


def read_documents(names: Sequence[str], namespace: str) -> tuple[Document, ...]:
    """Return all objects of files and directories; raise CouldNotRun.

    Objects that name no namespace get ``namespace``.
    """
    return tuple(_of_bundles(collect(names), namespace))


def read_steps(
    names: Sequence[str], given: Sequence[Document], namespace: str
) -> list[AppliedStep]:
    """Return what is applied after each step, on top of ``given``; raise CouldNotRun."""
    applied = [*given]
    found = []
    for each in collect_steps(names):
        applied += _of_bundles([each], namespace)
        found.append(AppliedStep(Path(each.directory).name, tuple(applied)))
    return found


@contextmanager
def at_revision(name: str) -> Iterator[str]:
    """Yield a path: ``name`` itself, or what ``REVISION:PATH`` had in git; raise CouldNotRun."""
    revision, colon, path = name.partition(":")
    if Path(name).exists() or name == "-" or not colon:
        yield name
        return
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    archive = _git("-C", top, "archive", "--format=tar", revision)
    with tempfile.TemporaryDirectory(prefix="tallykv-revision-") as directory:
        with tempfile.TemporaryFile() as file:
            file.write(archive)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                tar.extractall(directory, filter="data")
        found = Path(directory, path)
        if not found.exists():
            raise CouldNotRun(f"{revision} has no {path}; paths are relative to {top}")
        yield str(found)


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607
    except OSError as error:
        raise CouldNotRun(f"git can't be started: {error.strerror}") from None
    if done.returncode:
        raise CouldNotRun(f"git: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _of_bundles(bundles: Sequence[Bundle], namespace: str) -> Iterator[Document]:
    for bundle in bundles:
        for problem in bundle.problems:
            if problem.rule_id == "build-failed":
                raise CouldNotRun(f"{bundle.directory}: {problem.problem.what}")
        for text in bundle.texts:
            if is_test_file(text.file):
                continue
            try:
                for each in parse_documents(text.text):
                    yield from _objects(each.value, namespace)
            except YamlInvalid as error:
                place = f"{text.file}:{error.line}" if error.line else text.file
                raise CouldNotRun(f"{place}: {error}") from None


def _objects(value: Any, namespace: str) -> Iterator[Document]:
    """Yield the objects of a document, also of a list; what is no object is left out."""
    if not isinstance(value, dict):
        return
    kind = value.get("kind")
    if isinstance(kind, str) and kind.endswith(_LIST) and isinstance(value.get("items"), list):
        for each in value["items"]:
            yield from _objects(each, namespace)
        return
    metadata = value.get("metadata")
    if not (isinstance(kind, str) and "apiVersion" in value and isinstance(metadata, dict)):
        return
    if metadata.get("name") is None:
        if kind not in WORKLOADS:
            return
        metadata = {**metadata, "name": metadata.get("generateName", "")}
    if not metadata.get("namespace") and kind not in _CLUSTER_WIDE:
        metadata = {**metadata, "namespace": namespace}
    yield {**value, "metadata": metadata}
