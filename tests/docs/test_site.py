"""``make docs`` builds the site, and fails where something is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import PAGES, ROOT
from tests.docs.shells import missing_programs, own_environ, virtual_environment

BUILD_SECONDS: Final = 600.0


def build(directory: Path, **pages: str) -> int:
    """Build a site of these pages, the first of which is ``front``; return the exit code."""
    docs = directory / "docs"
    docs.mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    for name, text in pages.items():
        (docs / f"{name}.md").write_text(text)
    options = ["-n", "-W", "--keep-going", "-q", "-E", "-b", "html", "-D", "root_doc=front"]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, docs, directory / "site"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=BUILD_SECONDS,
    ).returncode


def test_make_docs_builds_a_page_for_every_page(tmp_path: Path) -> None:
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)}")
    shutil.rmtree(ROOT / "build" / "docs", ignore_errors=True)

    done = subprocess.run(
        ["make", "docs", f"VENV={virtual_environment(tmp_path)}"],
        cwd=ROOT,
        env=own_environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    docs, site = ROOT / "docs", ROOT / "build" / "docs"
    expected = [page.relative_to(docs) for page in PAGES if page.is_relative_to(docs)]
    assert [page for page in expected if not (site / page).with_suffix(".html").exists()] == []


@pytest.mark.parametrize("link", ["missing.md", "front.md#missing", "../missing.md"])
def test_a_broken_link_fails(link: str, tmp_path: Path) -> None:
    """The test of the test."""
    front = "# Front\n\n```{toctree}\npage\n```\n"
    assert build(tmp_path, front=front, page="# Page\n\nSee [it](front.md#front).\n") == 0

    assert build(tmp_path, front=front, page=f"# Page\n\nSee [it]({link}).\n") == 1


def test_a_page_that_nothing_lists_fails(tmp_path: Path) -> None:
    assert build(tmp_path, front="# Front\n", page="# Page\n") == 1
