"""Runs the linter in this process, and reads the findings that a fixture expects."""

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
CLUSTER: Final = FIXTURES / "cluster.yaml"
_LINE: Final = re.compile(r"^# (?P<kind>expect|args): (?P<text>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class LintRun:
    """The exit code and the output of a run."""

    code: int
    out: str
    err: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return every finding with its place, also those that are folded into another."""
        loaded: list[dict[str, Any]] = json.loads(self.out)["findings"]
        return [{**finding, **place} for finding in loaded for place in [finding, *finding["more"]]]

    def findings_of(self, *severities: str) -> list[str]:
        """Return the findings of these severities, or all, in the form that fixtures expect."""
        return sorted(
            _line(each)
            for each in self.findings
            if not severities or each["severity"] in severities
        )


def run(*arguments: str | Path) -> LintRun:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(["lint", *map(str, arguments)])
        except SystemExit as exit_:  # argparse raises it
            code = int(exit_.code or 0)
    return LintRun(code, out.getvalue(), err.getvalue())


def lint(*arguments: str | Path) -> LintRun:
    """Run with ``--format json``, so that ``LintRun.findings`` can be read."""
    return run("--format", "json", *arguments)


def _line(finding: dict[str, Any]) -> str:
    name = "/".join(filter(None, (finding["namespace"], finding["name"])))
    where = f"{finding['kind']} {name}" if finding["kind"] else "-"
    return f"{finding['rule']} {where} {finding['path'] or '-'}"


@dataclass(frozen=True)
class Fixture:
    """A file, or a directory with a file ``expect``; its comments list the expected findings."""

    path: Path
    expected: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def rules(self) -> set[str]:
        return {line.partition(" ")[0] for line in self.expected}


def fixtures() -> Iterator[Fixture]:
    """Yield the fixtures of ``bad/``."""
    for path in sorted((FIXTURES / "bad").iterdir()):
        text = (path / "expect" if path.is_dir() else path).read_text()
        comments = [(match["kind"], match["text"]) for match in _LINE.finditer(text)]
        yield Fixture(
            path,
            tuple(sorted(each for kind, each in comments if kind == "expect")),
            tuple(part for kind, each in comments if kind == "args" for part in shlex.split(each)),
        )
