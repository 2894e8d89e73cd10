"""Patterns from Istio's documentation, rewritten for this project, cause no errors or warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.rollout.lint.lint_runner import CLUSTER, FIXTURES, lint

VALID: Final = sorted((FIXTURES / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_documented_pattern_is_accepted(path: Path) -> None:
    linted = lint("--with", CLUSTER, path)

    assert linted.findings_of("error", "warning") == []
    assert linted.code == 0


def test_there_are_enough_patterns() -> None:
    assert len(VALID) >= 10


def test_an_allowed_finding_is_still_reported_as_info() -> None:
    linted = lint("--with", CLUSTER, FIXTURES / "valid" / "mirror-with-its-own-store.yaml")

    assert linted.findings_of("info") == [
        "mirrored-writes VirtualService shop/kv spec.http[0].mirror"
    ]
