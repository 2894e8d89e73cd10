"""The bench of lint: its manifests are valid, and it finds what a lint that fails costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame.errors import BenchError
from bench.lint.__main__ import measure
from bench.lint.manifests import OBJECTS_OF_APPLICATION, write_manifests
from tests.rollout.lint.lint_runner import run


def test_the_manifests_have_no_findings(tmp_path: Path) -> None:
    write_manifests(tmp_path / "a.yaml", 3)

    linted = run(tmp_path / "a.yaml")

    assert linted.out == f"{3 * OBJECTS_OF_APPLICATION} objects: 0 errors, 0 warnings, 0 infos\n"


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="exit code 2"):
        measure("lint", tmp_path / "nothing.yaml")
