"""Each dependency of the distributions has a floor: a version from which on it is known to work."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ("svc", "rollout")


def requirements(name: str) -> list[str]:
    project = tomllib.loads((ROOT / name / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    return [*project["dependencies"], *(each for extra in extras for each in extra)]


@pytest.mark.parametrize(
    "requirement", sorted({each for name in DISTRIBUTIONS for each in requirements(name)})
)
def test_a_dependency_has_a_floor_and_is_locked(requirement: str) -> None:
    wanted = requirement.partition(";")[0]
    found = re.fullmatch(
        r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?>=([0-9][0-9.a-z]*)(?:,<[0-9.]+)?", wanted
    )

    assert found is not None, "no floor, as >=1.2"
    locked = (ROOT / "requirements" / "bench.txt").read_text()
    assert re.search(rf"^{re.escape(found[1])}==", locked, re.MULTILINE)


def test_only_what_is_touched_inside_has_a_ceiling() -> None:
    ceilings = {each for name in DISTRIBUTIONS for each in requirements(name) if ",<" in each}

    assert {re.split(r"[><=\[]", each)[0] for each in ceilings} == {"aiohttp"}
    assert version("aiohttp").startswith("3.14.")
