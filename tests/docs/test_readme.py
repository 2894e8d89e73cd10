"""The README is a front page: short, with a picture of each product."""

from __future__ import annotations

from tests.docs.pages import ROOT, tokens_of

README = ROOT / "README.md"


def test_it_has_at_most_150_lines() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_it_has_a_picture_of_each_product() -> None:
    children = [child for token in tokens_of(README) for child in token.children or []]

    assert [child.type for child in children].count("image") == 2
