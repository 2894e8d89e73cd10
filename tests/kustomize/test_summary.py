"""A list of what each directory deploys; python -m tests.kustomize.test_summary rewrites it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.manifests import ROOT, containers, kustomizations, render, templates, title

SUMMARY: Final = Path(__file__).with_suffix(".txt")
DIRECTORIES: Final = kustomizations("kustomize")
HASH: Final = re.compile(r"-[a-z0-9]{10}$")


def name_of(directory: Path) -> str:
    return str(directory.relative_to(ROOT))


def summarise(directory: Path) -> str:
    """Return a paragraph: the directory and a line for each object."""
    objects = sorted(render(directory), key=title)
    lines = [f"  {HASH.sub('', title(each))}{details(each)}" for each in objects]
    return "\n".join([name_of(directory), *lines]) + "\n"


def details(one: dict[str, Any]) -> str:
    found = ", ".join(facts(one))
    return f": {found}" if found else ""


def facts(one: dict[str, Any]) -> Iterator[str]:
    spec = one.get("spec", {})
    match one["kind"]:
        case "ConfigMap" | "Secret":
            yield from sorted(one["data"])
        case "Service":
            yield "headless" if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP")
            yield from (f"{port['name']} {port['port']}" for port in spec["ports"])
        case "HorizontalPodAutoscaler":
            yield f"{spec['minReplicas']} to {spec['maxReplicas']}"
        case "PodDisruptionBudget":
            yield f"maxUnavailable {spec['maxUnavailable']}"
        case "NetworkPolicy":
            yield from spec["policyTypes"]
        case "Namespace":
            labels = one["metadata"].get("labels", {})
            yield from (f"{name.rpartition('/')[2]}={value}" for name, value in labels.items())
    for _, template in templates([one]):
        yield f"replicas {spec.get('replicas', 'as scaled')}"
        yield spec.get("strategy", {}).get("type") or spec["podManagementPolicy"]
        for container in containers(template):
            yield container["image"]
            resources = container["resources"]
            for name in ("cpu", "memory"):
                least, most = resources["requests"][name], resources["limits"][name]
                yield f"{name} {least}" + ("" if least == most else f" to {most}")
    for claim in spec.get("volumeClaimTemplates", []):
        yield f"volume {claim['spec']['resources']['requests']['storage']}"


@pytest.mark.parametrize("directory", DIRECTORIES, ids=name_of)
def test_a_directory_deploys_what_was_reviewed(directory: Path) -> None:
    reviewed = SUMMARY.read_text().split("\n\n")

    assert summarise(directory).strip() in [paragraph.strip() for paragraph in reviewed]


def test_nothing_is_summarised_that_is_gone() -> None:
    reviewed = {paragraph.split("\n")[0] for paragraph in SUMMARY.read_text().split("\n\n")}

    assert reviewed == {name_of(directory) for directory in DIRECTORIES}


if __name__ == "__main__":
    SUMMARY.write_text("\n".join(map(summarise, DIRECTORIES)))
