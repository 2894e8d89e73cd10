"""Every command that README and docs show is run, or checked where it can't run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks_of, name_of
from tests.docs.running import run_page
from tests.docs.shells import missing_programs
from tests.docs.unrun import Checker
from tests.support.manifests import need_kustomize

UNRUN = Path(__file__).with_name("unrun.txt")
WITH_COMMANDS = [
    page
    for page in PAGES
    if any(block.commands or block.language == "pycon" for block in blocks_of(page))
]


@pytest.fixture(autouse=True)
def need_programs() -> None:
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)} (Debian packages of these names)")


def need_programs_of(page: Path) -> None:
    """Skip the test if the page builds directories and nothing here can."""
    if re.search("kubectl|kustomize|tallykv-rollout", page.read_text()):
        need_kustomize()


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_commands_of_a_page_do_what_it_shows(
    page: Path,
    tmp_path: Path,
    redis_binary: str,  # the service starts its own, and is skipped where there is none
) -> None:
    need_programs_of(page)
    run_page(page, tmp_path)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.needs for block in blocks_of(page))],
    ids=name_of,
)
def test_commands_that_cannot_run_here_name_what_exists(page: Path, tmp_path: Path) -> None:
    need_programs_of(page)
    checker = Checker(tmp_path)

    problems = [
        f"{block.place}: {problem}"
        for block in blocks_of(page)
        if block.needs is not None
        for command in block.commands
        for problem in checker.problems_of(command.text)
    ]

    assert problems == []


def test_the_blocks_that_do_not_run_are_those_that_are_listed() -> None:
    """A new one has to be written down in unrun.txt, and so be noticed."""
    counted = Counter(
        (name_of(page), block.needs)
        for page in PAGES
        for block in blocks_of(page)
        if block.needs is not None
    )
    listed = {}
    for line in UNRUN.read_text().splitlines():
        if not line.startswith("#"):
            page_name, number, needs = line.split(maxsplit=2)
            listed[page_name, needs] = int(number)

    assert dict(counted) == listed


def test_most_blocks_run() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.commands]
    unrun = [block for block in blocks if block.needs is not None]

    assert len(unrun) <= len(blocks) / 3
