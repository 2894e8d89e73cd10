"""Writes a page for each lint rule: its row of lint-rules.md, a bad example and the corrected one.

The examples are the fixtures of the tests, so that each of them is known to be found. A fixture
holds its correction: a line that ends with ``#-`` is left out of it, and one that begins with
``#+`` is in it only. Sphinx calls ``write`` before it reads the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FIXTURES: Final = ROOT / "tests" / "rollout" / "lint" / "fixtures" / "bad"
FOLDER: Final = "rules"
_EXPECT: Final = re.compile(r"^# expect: (\S+)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^# (?:expect|args): .*\n", re.MULTILINE)
_ADDED, _REMOVED = "#+ ", " #-"


def bad_example(text: str) -> str:
    """Return a fixture without its comments and its correction."""
    lines = _COMMENT.sub("", text).splitlines()
    kept = (line.removesuffix(_REMOVED) for line in lines if not line.startswith(_ADDED))
    return "\n".join(kept) + "\n"


def good_example(text: str) -> str | None:
    """Return the corrected fixture, None if it holds no correction."""
    lines = _COMMENT.sub("", text).splitlines()
    if not any(line.startswith(_ADDED) or line.endswith(_REMOVED) for line in lines):
        return None
    kept = (line.removeprefix(_ADDED) for line in lines if not line.endswith(_REMOVED))
    return "\n".join(kept) + "\n"


def pages(reference: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, from the text of lint-rules.md."""
    examples = _examples()
    for line in reference.splitlines():
        if match := re.match(r"\| `([a-z0-9-]+)`", line):
            cells = [it.strip().replace("\\|", "|") for it in re.split(r"(?<!\\)\|", line)[1:-1]]
            yield match[1], _page(match[1], cells, examples[match[1]])


def _examples() -> Mapping[str, Path]:
    """Return the fixture of each rule: one with a correction and the rule's name, if there is."""
    found: dict[str, list[Path]] = {}
    for path in sorted(FIXTURES.iterdir()):
        for rule in _EXPECT.findall(_read(path)):
            found.setdefault(rule, []).append(path)
    return {rule: min(paths, key=lambda it: _rank(rule, it)) for rule, paths in found.items()}


def _rank(rule: str, path: Path) -> tuple[bool, bool, int]:
    text = _read(path)
    expected = _EXPECT.findall(text)
    return good_example(text) is None, path.stem != rule, expected.index(rule)


def _read(path: Path) -> str:
    if path.is_dir():
        files = sorted(it for it in path.rglob("*") if it.is_file())
        parts = (
            f"# {it.relative_to(path)}\n{it.read_text()}" for it in files if it.name != "expect"
        )
        return (path / "expect").read_text() + "---\n".join(parts)
    return path.read_text()


def _page(rule: str, cells: list[str], example: Path) -> str:
    _, severity, finds, harm, remedy = cells
    text = _read(example)
    good = good_example(text)
    return "\n".join(
        [
            f"# {rule}\n",
            f"[All rules](../lint-rules.md). Severity: {severity}.\n",
            f"It finds {finds}.\n",
            f"**Harm:** {harm}.\n",
            f"**What to do:** {remedy}.\n",
            f"## Bad\n\n````text\n{bad_example(text)}````\n",
            *((f"## Good\n\n````text\n{good}````\n",) if good else ()),
        ]
    )


def write(docs: Path) -> None:
    """Write the pages into the folder of Sphinx's sources, where git ignores them."""
    folder = docs / "reference" / FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in pages((docs / "reference" / "lint-rules.md").read_text()):
        path = folder / f"{name}.md"
        # Sphinx reads only what changed.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def with_links(reference: str) -> str:
    """Return lint-rules.md with a link in each row, and its table of contents."""
    names = re.findall(r"(?m)^\| `([a-z0-9-]+)`", reference)
    linked = re.sub(r"(?m)^\| `([a-z0-9-]+)`", rf"| [`\1`]({FOLDER}/\1.md)", reference)
    contents = "\n".join(f"{FOLDER}/{name}" for name in names)
    return f"{linked}\n```{{toctree}}\n:hidden:\n\n{contents}\n```\n"
