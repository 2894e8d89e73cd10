"""The workflows of a code host: valid, pinned, and about things that exist."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.services import ROOT
from tests.workflows.rules import complaints

FOLDER: Final = ROOT / ".github" / "workflows"
FILES: Final = sorted(FOLDER.glob("*.yaml"))
TARGETS: Final = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
#: Who may write what.
WRITERS: Final = {
    ("wheels", "id-token"),
    ("wheels", "attestations"),
    ("publish-wheels", "id-token"),
    ("image", "packages"),
    ("image", "id-token"),
    ("image", "attestations"),
}
#: A mistake in release.yaml, and the beginning of what is said about it.
MISTAKES: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "a key": (lambda w: w["jobs"]["wheels"].update(step=[]), "wheels: a job has no step"),
    "no runner": (lambda w: w["jobs"]["wheels"].pop("runs-on"), "wheels: a job must have runs-on"),
    "an event": (lambda w: w[True].update(pushed=None), "on: no event pushed"),
    "a job": (lambda w: w["jobs"]["wheels"].update(needs="tests"), "wheels: needs tests"),
    "a circle": (lambda w: w["jobs"]["wheels"].update(needs="image"), "jobs need each other"),
    "a tag": (
        lambda w: w["jobs"]["image"]["steps"][0].update(uses="actions/checkout@v4"),
        "image: actions/checkout@v4 is not pinned",
    ),
    "an input": (
        lambda w: w["jobs"]["image"]["steps"][0]["with"].update(persist=False),
        "image: actions/checkout has no input persist",
    ),
    "a permission": (
        lambda w: w["jobs"]["image"]["permissions"].update(registry="write"),
        "image: no permission registry",
    ),
    "all permissions": (lambda w: w.update(permissions="write-all"), "it has no jobs, or does not"),
    "a script": (
        lambda w: w["jobs"]["wheels"]["steps"][2].update(run="echo ${{ github.ref_name }}"),
        "wheels: an expression in a script",
    ),
    "a step": (
        lambda w: w["jobs"]["image"]["steps"][4].pop("id"),
        "image: no steps.push",
    ),
    "a value of the matrix": (
        lambda w: w["jobs"]["image"]["env"].update(IMAGE="${{ matrix.image }}"),
        "image: no matrix.image",
    ),
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs(name: str = "") -> list[tuple[str, Any]]:
    """Return the jobs of all files by their names, or those of one name."""
    found = [item for path in FILES for item in read(path)["jobs"].items()]
    return [item for item in found if name in {"", item[0]}]


def scripts() -> str:
    steps = [step for _, job in jobs() for step in job.get("steps", ())]
    return "\n".join(step["run"] for step in steps if "run" in step)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_keeps_the_rules(path: Path) -> None:
    assert list(complaints(read(path))) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    spoil, said = MISTAKES[mistake]
    workflow = copy.deepcopy(read(FOLDER / "release.yaml"))
    spoil(workflow)

    assert [each for each in complaints(workflow) if each.startswith(said)]


def test_each_commit_has_its_version_beside_it_and_an_action_only_one() -> None:
    lines = [line for path in FILES for line in path.read_text().splitlines() if "@" in line]
    uses = [line for line in lines if "uses:" in line]
    pins = [re.fullmatch(r" +- uses: (\S+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", line) for line in uses]

    assert len(uses) > 10
    assert all(pins)
    found = {(pin[1], pin[2]) for pin in pins if pin}
    assert len(found) == len({action for action, _ in found})


def test_only_what_publishes_may_write() -> None:
    writers = {
        (name, permission)
        for name, job in jobs()
        for permission, level in job.get("permissions", {}).items()
        if level == "write"
    }

    assert writers == WRITERS
    assert {"test", "build", "audit", "wheels", "publish-wheels", "image"} <= {
        name for name, _ in jobs()
    }


def test_what_they_run_is_here() -> None:
    text = scripts()
    called = set(" ".join(re.findall(r"\bmake ([a-z -]+)", text)).split())
    paths = re.findall(r"(?:\.ci|tests|rollout|requirements)/[\w./-]+", text)

    assert called == {"wheels", "sbom"}
    assert called <= TARGETS
    assert len(paths) >= 3
    assert [path for path in paths if not (ROOT / path).exists()] == []
    [(_, audit)], [(_, image)] = jobs("audit"), jobs("image")
    matrix, images = audit["strategy"]["matrix"]["lock"], image["strategy"]["matrix"]["include"]
    assert all((ROOT / "requirements" / f"{lock}.txt").exists() for lock in matrix)
    assert all((ROOT / each["file"]).exists() for each in images)
    assert {each["sbom"] for each in images} == set(matrix)


def test_no_registry_is_named() -> None:
    text = "\n".join(path.read_text() for path in FILES)

    assert not re.search(r"\b[\w-]+\.(?:io|org|com|dev)\b", text)
