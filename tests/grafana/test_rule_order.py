"""A rule reads what was recorded in the same evaluation, or another group's history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.rule_files import read_groups, rule_paths

Json = dict[str, Any]

GROUPS: Final[list[Json]] = [group for path in rule_paths() for group in read_groups(path)]
RECORDED: Final = {
    rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule
}
#: A series with its matchers and, if it is read over a time, the range.
_READ: Final = re.compile(r"(?<![\w:])([a-zA-Z_][\w:]*)\s*(?:\{[^}]*\})?\s*(\[[^\]]+\])?")


def read_at_once(expression: str) -> Iterator[str]:
    """Yield the recorded series that an expression reads without a range."""
    without_texts = re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)
    for name, over in _READ.findall(without_texts):
        if name in RECORDED and not over:
            yield name


def late_reads(group: Json) -> list[str]:
    """Return what the rules read at once that no earlier rule of the group has recorded."""
    so_far: set[str] = set()
    late = []
    for rule in group["rules"]:
        name = rule.get("record") or rule["alert"]
        late += [f"{name} reads {r}" for r in read_at_once(str(rule["expr"])) if r not in so_far]
        so_far.add(name)
    return late


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: str(group["name"]))
def test_a_rule_stands_behind_those_that_it_reads(group: Json) -> None:
    assert late_reads(group) == []


def test_a_series_is_recorded_by_rules_of_one_group() -> None:
    """Else the order would hold for a part of it only."""
    for name in RECORDED:
        groups = {
            group["name"]
            for group in GROUPS
            for rule in group["rules"]
            if rule.get("record") == name
        }
        assert len(groups) == 1, name


def test_a_rule_that_reads_too_early_is_found() -> None:
    a, b = sorted(RECORDED)[:2]
    late = [{"record": a, "expr": f'{b}{{x="y"}} / 2'}, {"record": b, "expr": f"rate({a}[5m])"}]
    in_order = [late[1], late[0]]

    assert late_reads({"rules": late}) == [f"{a} reads {b}"]
    assert late_reads({"rules": in_order}) == []
