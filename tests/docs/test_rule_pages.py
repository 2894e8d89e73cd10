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
CORRECTED: Final = [
    each
    for each in fixtures()
    if each.path.is_file() and good_example(each.path.read_text()) is not None
]


@pytest.mark.parametrize("fixture", CORRECTED, ids=lambda fixture: fixture.path.stem)
def test_a_corrected_example_breaks_no_rule(fixture: Fixture, tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(good_example(fixture.path.read_text()) or "")

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


#: Their examples are directories or other files, or there is nothing to correct.
UNCORRECTED: Final = {
    *("build-failed", "kustomize-deprecated", "removed-while-used", "used-before-made"),
    *("host-split", "match-without-effect", "unreachable-route", "unknown-kind", "unknown-field"),
    *("destination-rules-overlap",),
}


def test_nearly_every_rule_has_a_good_example() -> None:
    written = dict(pages(REFERENCE))
    without = {
        rule.id
        for rule in RULES
        if rule.severity is not Severity.INFO and "## Good" not in written[rule.id]
    }

    assert without == UNCORRECTED


def test_an_example_shows_no_comment_of_the_tests() -> None:
    text = "# expect: x Service a/b -\na: 1 #-\n#+ a: 2\nb: 3\n"

    assert bad_example(text) == "a: 1\nb: 3\n"
    assert good_example(text) == "a: 2\nb: 3\n"
    assert good_example("# expect: x Service a/b -\na: 1\n") is None
