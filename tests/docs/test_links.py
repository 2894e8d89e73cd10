"""Links of all Markdown files lead somewhere, on a code host and on the site."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from markdown_it.token import Token

from tests.docs.pages import PAGES, ROOT, name_of, tokens_of
from tests.docs.unrun import Checker

DOCS: Final = ROOT / "docs"


def markdown_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = {ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    return sorted(found | set(PAGES))


def inline_tokens(page: Path) -> Iterator[Token]:
    for token in tokens_of(page):
        yield from token.children or []


def targets_of(page: Path) -> list[str]:
    """Return where the page's links and pictures lead, other sites left out."""
    found = [
        str(token.attrs.get("href") or token.attrs.get("src"))
        for token in inline_tokens(page)
        if token.type in {"link_open", "image"}
    ]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that code hosts, and the site, give the page's headings."""
    tokens = tokens_of(page)
    found: set[str] = set()
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(each.content for each in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = sum(1 for each in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", each))
            found.add(f"{slug}-{again}" if slug in found else slug)
    return found


@pytest.mark.parametrize("page", markdown_files(), ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in targets_of(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=name_of)
def test_a_link_of_the_site_leads_to_a_file(page: Path) -> None:
    """The site offers files outside docs/ as downloads; it can't offer a directory."""
    directories = [
        target
        for target in targets_of(page)
        if (page.parent / target.partition("#")[0]).is_dir() and not target.startswith("#")
    ]

    assert directories == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_sentence_names_exists(page: Path, tmp_path: Path) -> None:
    """Paths and commands in code, such as `svc/app.py` or `make bench`."""
    checker = Checker(tmp_path)

    problems = [
        problem
        for token in inline_tokens(page)
        if token.type == "code_inline"
        for problem in checker.problems_of(token.content)
    ]

    assert problems == []


@pytest.mark.parametrize("page", markdown_files(), ids=name_of)
def test_every_picture_is_described(page: Path) -> None:
    assert [each for each in inline_tokens(page) if each.type == "image" and not each.content] == []
