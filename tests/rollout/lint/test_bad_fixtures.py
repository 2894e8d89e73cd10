"""Each fixture has one defect; the linter reports its rule, its object and its JSON path."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

from rollout.lint.rules.table import BY_ID, RULES
from rollout.manifests.field_errors import Reason
from tests.rollout.lint.lint_runner import CLUSTER, Fixture, fixtures, lint

FIXTURES: Final = list(fixtures())


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.path.stem)
def test_the_linter_reports_the_defect_and_nothing_else(fixture: Fixture) -> None:
    if (fixture.path / "kustomization.yaml").exists() and shutil.which("kubectl") is None:
        pytest.skip("needs kubectl 1.21 or later")

    linted = lint("--with", CLUSTER, *fixture.arguments, fixture.path)

    assert tuple(linted.findings_of()) == fixture.expected
    errors = any(BY_ID[rule].severity == "error" for rule in fixture.rules)
    assert linted.code == (1 if errors else 0)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.path.stem)
def test_a_fixture_expects_existing_rules(fixture: Fixture) -> None:
    assert fixture.rules
    assert fixture.rules <= BY_ID.keys()


def test_every_rule_has_a_fixture() -> None:
    covered = {rule for fixture in FIXTURES for rule in fixture.rules}

    assert {rule.id for rule in RULES} - covered == set()


def test_every_rule_has_its_own_id() -> None:
    assert len(BY_ID) == len(RULES)


def test_every_reason_of_the_models_is_a_rule() -> None:
    assert set(Reason) <= BY_ID.keys()


def test_the_cluster_fixture_itself_is_valid() -> None:
    unused = "gateway-unused Gateway shop/kv -"

    assert lint(CLUSTER).findings_of("error", "warning") == [unused]
