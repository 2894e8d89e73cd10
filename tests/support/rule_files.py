"""The committed Prometheus rules, as they are and in haste."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.services import ROOT

FOLDER: Final = ROOT / "grafana" / "rules"
#: A comparison that filters; with ``bool`` it answers 0 or 1 instead.
_COMPARISON: Final = re.compile(
    r"""("(?:\\.|[^"\\])*"|\{[^{}]*\})|(==|!=|>=|<=|>|<)(?!~)(?:\s*bool\b)?"""
)


@dataclass(frozen=True)
class CommittedRule:
    """``name`` is that of the alert, or of the recorded series; ``labels`` are those it adds."""

    name: str
    alert: bool
    expression: str
    labels: dict[str, str]

    @property
    def recorded(self) -> str:
        """Return the selector of what it records."""
        matchers = ", ".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.name}{{{matchers}}}"

    @property
    def unfiltered(self) -> str:
        """Return the expression with every comparison answering 0 or 1, so that joins show."""
        return _COMPARISON.sub(lambda m: m[1] or f"{m[2]} bool", self.expression)

    @property
    def excludes(self) -> bool:
        """Tell whether it is about what is not there: then nothing is what it finds as a rule."""
        return re.search(r"\bunless\b|\babsent\w*\(", self.expression) is not None


def rule_paths() -> list[Path]:
    """Return the rule files, in the order Prometheus loads them; their unit tests are others."""
    return [path for path in sorted(FOLDER.glob("*.yaml")) if not path.name.endswith(".test.yaml")]


def read_groups(path: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return groups


def committed_rules() -> list[CommittedRule]:
    return [
        CommittedRule(
            rule.get("alert") or rule["record"],
            "alert" in rule,
            str(rule["expr"]),
            rule.get("labels", {}),
        )
        for path in rule_paths()
        for group in read_groups(path)
        for rule in group["rules"]
    ]


def write_hastened(directory: Path) -> list[Path]:
    """Write copies that are evaluated at once and whose alerts fire soon; nothing else differs."""
    copies = []
    for path in rule_paths():
        groups = read_groups(path)
        for group in groups:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "3s"
        copy = directory / path.name
        copy.write_text(json.dumps({"groups": groups}))
        copies.append(copy)
    return copies
