"""Renders reports as text, JSON or GitHub annotations, and the list of rules. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .findings import Finding, Severity
from .linter import Report
from .rule import Rule

_GITHUB_LEVELS: Final = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}


def render_text(report: Report) -> str:
    """Render three lines per finding: where it is, what is wrong, what to do."""
    blocks = ["\n".join(_lines(finding)) for finding in report.findings]
    return "\n\n".join([*blocks, _summary(report)]) + "\n"


def _lines(finding: Finding) -> Iterator[str]:
    location = finding.location
    where = location.file if finding.line is None else f"{location.file}:{finding.line}"
    if finding.also_in:
        where += f" and {_counted(len(finding.also_in), 'other')}"
    named = [location.label] if location.kind else []
    path = [finding.path] if finding.path else []
    yield f"{finding.severity.value}: {finding.rule}: {' '.join([*named, *path, f'({where})'])}"
    yield f"  {finding.what}"
    yield f"  → {finding.remedy}"


def _summary(report: Report) -> str:
    counts = [
        _counted(report.count(Severity.ERROR), "error"),
        _counted(report.count(Severity.WARNING), "warning"),
        _counted(report.count(Severity.INFO), "info"),
    ]
    return f"{_counted(report.objects, 'object')}: {', '.join(counts)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render_json(report: Report) -> str:
    """Render a JSON object: ``findings``, and the numbers of objects and of each severity."""
    document = {
        "findings": [_as_object(finding) for finding in report.findings],
        "objects": report.objects,
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "infos": report.count(Severity.INFO),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _as_object(finding: Finding) -> dict[str, Any]:
    location = finding.location
    return {
        "severity": finding.severity.value,
        "rule": finding.rule,
        "kind": location.kind,
        "namespace": location.namespace,
        "name": location.name,
        "file": location.file,
        "line": finding.line,
        "path": finding.path,
        "what": finding.what,
        "remedy": finding.remedy,
        "also_in": list(finding.also_in),
    }


def render_github(report: Report) -> str:
    """Render GitHub workflow commands, which GitHub shows as annotations of the files.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    lines = [_command(finding) for finding in report.findings]
    return "\n".join([*lines, _summary(report)]) + "\n"


def _command(finding: Finding) -> str:
    location = finding.location
    properties = {"file": location.file, "line": finding.line, "title": finding.rule}
    rendered = ",".join(
        f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items() if value
    )
    named = " ".join(
        part for part in (location.label if location.kind else "", finding.path) if part
    )
    message = f"{named}: {finding.what}\n→ {finding.remedy}" if named else finding.what
    return f"::{_GITHUB_LEVELS[finding.severity]} {rendered}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    for each in f"%\r\n{also}":
        text = text.replace(each, f"%{ord(each):02X}")
    return text


def render_rules(rules: Iterable[Rule]) -> str:
    """Render one line per rule: id, severity, summary."""
    listed = list(rules)
    width = max(len(rule.id) for rule in listed)
    return "".join(
        f"{rule.id.ljust(width)}  {rule.severity.value.ljust(7)}  {rule.summary}\n"
        for rule in listed
    )


FORMATS: Final = {"text": render_text, "json": render_json, "github": render_github}
