"""Renders reports as text, JSON or GitHub annotations, and the list of rules. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .findings import Finding, Location, Place, Severity
from .linter import Report
from .rule import Rule

#: Of the other places with the same finding.
_PLACES_SHOWN: Final = 3
_GITHUB_LEVELS: Final = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}


def render_text(report: Report) -> str:
    """Render a finding's place, what is wrong, what to do, and where else the same is wrong."""
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
    if finding.more:
        shown = "; ".join(map(_place, finding.more[:_PLACES_SHOWN]))
        rest = "; …" if len(finding.more) > _PLACES_SHOWN else ""
        yield f"  and {len(finding.more)} more: {shown}{rest}"


def _place(place: Place) -> str:
    location = place.location
    where = location.file if place.line is None else f"{location.file}:{place.line}"
    named = [location.label] if location.kind else []
    return " ".join([*named, *([place.path] if place.path else []), f"({where})"])


def _summary(report: Report) -> str:
    counts = [
        _counted(report.count(Severity.ERROR), "error"),
        _counted(report.count(Severity.WARNING), "warning"),
        _counted(report.count(Severity.INFO), "info"),
    ]
    hidden = f"; {report.hidden} of lower severity not shown" if report.hidden else ""
    return f"{_counted(report.objects, 'object')}: {', '.join(counts)}{hidden}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render_json(report: Report) -> str:
    """Render a JSON object: ``findings``, and the numbers of objects and of each severity.

    The other places with the same problem are in ``more`` of a finding; the numbers count them.
    """
    document = {
        "findings": [_as_object(finding) for finding in report.findings],
        "objects": report.objects,
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "infos": report.count(Severity.INFO),
        "hidden": report.hidden,
        "against": list(report.against),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _as_object(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity.value,
        "rule": finding.rule,
        **_where(finding.location),
        "line": finding.line,
        "path": finding.path,
        "what": finding.what,
        "remedy": finding.remedy,
        "also_in": list(finding.also_in),
        "more": [
            {**_where(each.location), "line": each.line, "path": each.path} for each in finding.more
        ],
    }


def _where(location: Location) -> dict[str, str]:
    return {
        "kind": location.kind,
        "namespace": location.namespace,
        "name": location.name,
        "file": location.file,
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
    if finding.more:
        message += f"\nand {len(finding.more)} more"
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
