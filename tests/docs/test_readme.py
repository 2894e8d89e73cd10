"""The README is a front page: short, with one picture."""

from __future__ import annotations

from tests.docs.pages import ROOT, tokens_of

README = ROOT / "README.md"


def test_it_has_at_most_150_lines() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_it_has_one_picture() -> None:
    children = [child for token in tokens_of(README) for child in token.children or []]

    assert [child.type for child in children].count("image") == 1
