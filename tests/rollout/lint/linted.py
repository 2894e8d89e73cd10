"""Runs the linter in this process, and reads what fixtures expect of it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rollout.__main__ import main

FIXTURES: Final = Path(__file__).parent / "fixtures"
ESTATE: Final = FIXTURES / "estate.yaml"
_LINE: Final = re.compile(r"^# (?P<what>expect|args): (?P<said>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a run said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        loaded: list[dict[str, Any]] = json.loads(self.out)["findings"]
        return loaded

    def told(self, *severities: str) -> list[str]:
        """Return the findings as fixtures write them: rule, object and path."""
        return sorted(
            _line(each)
            for each in self.findings
            if not severities or each["severity"] in severities
        )


def run(*arguments: str | Path) -> Run:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(["lint", *map(str, arguments)])
        except SystemExit as leaving:  # argparse
            code = int(leaving.code or 0)
    return Run(code, out.getvalue(), err.getvalue())


def lint(*arguments: str | Path) -> Run:
    """Lint, and have the findings as JSON."""
    return run("--format", "json", *arguments)


def _line(finding: dict[str, Any]) -> str:
    whose = "/".join(filter(None, (finding["namespace"], finding["name"])))
    place = f"{finding['kind']} {whose}" if finding["kind"] else "-"
    return f"{finding['rule']} {place} {finding['path'] or '-'}"


@dataclass(frozen=True)
class Fixture:
    """A file, or a directory with a file ``expect``; its comments say what is to be found."""

    path: Path
    expected: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def rules(self) -> set[str]:
        return {line.partition(" ")[0] for line in self.expected}


def fixtures() -> Iterator[Fixture]:
    """Yield the bad ones."""
    for path in sorted((FIXTURES / "bad").iterdir()):
        text = (path / "expect" if path.is_dir() else path).read_text()
        said = [(match["what"], match["said"]) for match in _LINE.finditer(text)]
        yield Fixture(
            path,
            tuple(sorted(each for what, each in said if what == "expect")),
            tuple(part for what, each in said if what == "args" for part in shlex.split(each)),
        )
