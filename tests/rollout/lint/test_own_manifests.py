"""The manifests of this project pass its own linter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.lint.lint_runner import lint

ROOT: Final = Path(__file__).parents[3]
ENVIRONMENTS: Final = [ROOT / "kustomize" / "overlays" / each for each in ("dev", "staging")]
#: The steps in the order in which the README of each directory applies them.
PLANS: Final = {
    "canary": [
        "1-workloads",
        "2-subsets",
        "steps",
        "4-promote",
        "steps/50",
        "steps/00",
        "9-remove/1-routes",
        "9-remove/2-subsets",
    ],
    "blue-green": [
        "1-workloads",
        "2-subsets",
        "steps/blue",
        "steps/green",
        "steps/blue",
        "9-remove/1-routes",
        "9-remove/2-subsets",
    ],
}

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="needs kubectl 1.21 or later"
)


def environments() -> list[str]:
    return [part for each in ENVIRONMENTS for part in ("--with", str(each))]


@pytest.mark.parametrize("tree", ["kustomize", "istio"])
def test_a_tree_has_no_errors_and_no_warnings(tree: str) -> None:
    linted = lint(*environments(), ROOT / tree)

    assert linted.findings_of("error", "warning") == []


@pytest.mark.parametrize("strategy", PLANS)
def test_a_strategy_creates_before_it_uses_and_removes_after(strategy: str) -> None:
    steps = [ROOT / "istio" / strategy / step for step in PLANS[strategy]]

    linted = lint("--with", ROOT / "istio" / "gateway", "--plan", *steps)

    assert linted.findings_of("error") == []
