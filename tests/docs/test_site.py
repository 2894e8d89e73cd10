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


def build(directory: Path, **pages: str) -> tuple[int, str]:
    """Build a site of these pages, the first of which is ``front``; return exit code and errors."""
    docs = directory / "docs"
    docs.mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    for name, text in pages.items():
        (docs / f"{name}.md").write_text(text)
    options = ["-n", "-W", "--keep-going", "-q", "-E", "-b", "html", "-D", "root_doc=front"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, docs, directory / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    return done.returncode, done.stderr


def test_make_docs_builds_a_page_for_every_page(tmp_path: Path) -> None:
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)} (Debian packages of these names)")
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


def test_broken_links_and_a_page_that_nothing_lists_fail(tmp_path: Path) -> None:
    """The test of the test."""
    front = "# Front\n\n```{toctree}\npage\n```\n"
    assert build(tmp_path, front=front, page="# Page\n\nSee [it](front.md#front).\n")[0] == 0
    links = ["missing.md", "front.md#missing", "../missing.md"]
    text = "\n\n".join(f"See [it]({link})." for link in links)

    code, said = build(tmp_path, front=front, page=f"# Page\n\n{text}\n", alone="# Alone\n")

    assert code == 1
    for line in (3, 5, 7):
        assert f"page.md:{line}: WARNING" in said
    assert "alone.md: WARNING" in said
