"""The pages, and the commands they show: read from Markdown.

A fenced block of ``sh`` holds a script, a block of ``console`` commands (``$ ``, continued by
``> `` or after a backslash) and their output. A comment just before a block says how a test treats
it; several instructions are separated by commas:

- ``<!-- test: needs REASON -->``: it can't run here; REASON is one of ``REASONS``.
- ``<!-- test: exits 1 -->``: it fails with that exit code.
- ``<!-- test: in the background -->``: it goes on running while the rest of the page runs.
- ``<!-- test: saved as build/NAME -->``: a ``python`` block that the reader saves in that file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    # The site also has a page for each lint rule, see docs/rule_pages.py.
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "rules"),
]
REASONS: Final = {
    "cluster": "a Kubernetes cluster",
    "containers": "a container engine",
    "package index": "packages from an index",
    "root": "the right to install system packages",
    "minutes": "more time than a test may take",
    "your values": "names that the reader replaces",
}
#: A ``pycon`` block is run as a doctest; blocks in the other languages are not commands.
LANGUAGES: Final = {
    *("console", "sh", "pycon"),
    *("dockerfile", "http", "ini", "json", "promql", "python", "text", "toml", "yaml"),
}

_INSTRUCTIONS: Final = re.compile(r"<!-- test: (.+?) -->\s*\Z")


class BlockInvalid(ValueError):
    """A block, or the comment before it, is not in the form described above."""


@dataclass
class Command:
    """What a reader types, and what is shown below it. A script has no output."""

    text: str
    line: int
    output: list[str] | None = None


@dataclass
class Block:
    """A fenced block. ``line`` is that of its opening fence, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    needs: str | None = None
    exits: int = 0
    is_background: bool = False
    saved_as: str | None = None
    commands: list[Command] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def tokens_of(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def blocks_of(page: Path) -> list[Block]:
    """Return the page's fenced blocks in order; raise BlockInvalid."""
    found = []
    comment = ""
    for token in tokens_of(page):
        if token.type == "fence":
            assert token.map is not None
            block = Block(page, token.map[0] + 1, token.info.strip(), token.content)
            _instruct(block, comment)
            block.commands = _commands_of(block)
            found.append(block)
        elif token.type == "code_block":
            raise BlockInvalid(f"{name_of(page)}: an indented block has no language")
        comment = token.content if token.type == "html_block" else ""
    return found


def _instruct(block: Block, comment: str) -> None:
    found = _INSTRUCTIONS.search(comment)
    for instruction in found[1].split(", ") if found else []:
        if instruction.startswith("needs "):
            block.needs = instruction.removeprefix("needs ")
        elif re.fullmatch(r"exits \d+", instruction):
            block.exits = int(instruction.removeprefix("exits "))
        elif instruction == "in the background":
            block.is_background = True
        elif re.fullmatch(r"saved as build/\w+\.py", instruction):
            block.saved_as = instruction.removeprefix("saved as ")
        else:
            raise BlockInvalid(f"{block.place}: no such instruction: {instruction}")
    if block.needs is not None and block.needs not in REASONS:
        raise BlockInvalid(f"{block.place}: no such reason: {block.needs}")
    if block.language not in LANGUAGES:
        raise BlockInvalid(f"{block.place}: no such language: {block.language!r}")


def _commands_of(block: Block) -> list[Command]:
    if block.language == "sh":
        return [Command(block.text, block.line + 1)]
    if block.language != "console":
        return []
    commands: list[Command] = []
    continues = False
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            commands.append(Command(line[2:], number, []))
        elif not commands:
            raise BlockInvalid(f"{block.place}: output before the first command")
        elif continues or (line.startswith("> ") and not commands[-1].output):
            commands[-1].text += "\n" + line.removeprefix("> ")
        else:
            output = commands[-1].output
            assert output is not None
            output.append(line)
            continue
        continues = line.endswith("\\")
    return commands
