"""Each lint rule has a page on the site, whose good example lacks what its bad example breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from docs.rule_pages import bad_example, good_example, pages, with_links
from rollout.lint.findings import Severity
from rollout.lint.rules.table import BY_ID, RULES
from tests.docs.pages import ROOT
from tests.rollout.lint.lint_runner import CLUSTER, Fixture, fixtures, lint

REFERENCE: Final = (ROOT / "docs" / "reference" / "lint-rules.md").read_text()


def files_of(fixture: Fixture) -> list[Path]:
    """Return a fixture's own file, or the files of its directory."""
    if fixture.path.is_file():
        return [fixture.path]
    files = (each for each in fixture.path.rglob("*") if each.is_file())
    return sorted(each for each in files if each.name != "expect")


CORRECTED: Final = [
    each
    for each in fixtures()
    if any(good_example(one.read_text()) is not None for one in files_of(each))
]


@pytest.mark.parametrize("fixture", CORRECTED, ids=lambda fixture: fixture.path.stem)
def test_a_corrected_example_breaks_no_rule(fixture: Fixture, tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    for each in files_of(fixture):
        copy = path / each.relative_to(fixture.path) if fixture.path.is_dir() else path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(good_example(each.read_text()) or each.read_text())

    linted = lint("--with", CLUSTER, *fixture.arguments, path)

    assert linted.findings_of("error", "warning") == []
    found = {each["rule"] for each in linted.findings} - {"not-checked", "not-modelled"}
    assert not found & fixture.rules


def test_every_rule_has_a_page_with_its_harm_and_an_example() -> None:
    written = dict(pages(REFERENCE))

    assert written.keys() == BY_ID.keys()
    for text in written.values():
        assert "**Harm:** " in text
        assert "## Bad" in text
    assert all(f"[`{rule}`](rules/{rule}.md)" in with_links(REFERENCE) for rule in written)


def test_every_rule_has_a_good_example() -> None:
    written = dict(pages(REFERENCE))
    without = {
        rule.id
        for rule in RULES
        if rule.severity is not Severity.INFO and "## Good" not in written[rule.id]
    }

    assert without == set()


def test_an_example_shows_no_comment_of_the_tests() -> None:
    text = "# expect: x Service a/b -\na: 1 #-\n#+ a: 2\nb: 3\n"

    assert bad_example(text) == "a: 1\nb: 3\n"
    assert good_example(text) == "a: 2\nb: 3\n"
    assert good_example("# expect: x Service a/b -\na: 1\n") is None
