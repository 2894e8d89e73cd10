"""The rollout's reference has a row for each flag, exit code, plan key, lint rule and series."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from rollout.__main__ import COMMANDS, build_parser
from rollout.cli import exit_codes
from rollout.lint.rule import Rule
from rollout.lint.rules.table import RULES
from rollout.plan.plan_file import PlanFile
from rollout.runner.decisions import Reason
from rollout.runner.events import EventKind
from rollout.runner.metrics import RolloutMetrics
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


def rows_of(name: str, heading: str | None = None) -> list[list[str]]:
    """Return the cells of a page's tables: of all, of one section, or ("") those before them."""
    text = (REFERENCE / name).read_text()
    if heading is not None:
        before, *sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
        text = {"": before, **dict(zip(sections[::2], sections[1::2], strict=True))}[heading]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]


def first_cells(name: str, heading: str | None = None) -> set[str]:
    return {row[0] for row in rows_of(name, heading)}


def subcommands() -> dict[str, argparse.ArgumentParser]:
    for action in build_parser(*COMMANDS)._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("there are no subcommands")


def flags_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if action.option_strings and "--help" not in action.option_strings:
            yield action


#: The sections that hold the flags of a subcommand.
COMMON = "Arguments of several subcommands"
SECTIONS = {
    "init": ["init"],
    "lint": ["lint"],
    "test": ["test"],
    "record": ["record"],
    "diff": ["diff"],
    "rehearse": ["rehearse", COMMON],
    "run": ["run", COMMON],
    "doctor": ["doctor", COMMON],
    "plan": ["plan", COMMON],
    "pack": ["pack", COMMON],
    "backtest": ["backtest", COMMON],
    "judge": ["judge"],
    "completion": [],
    **{
        command: ["status, pause, resume, abort", COMMON]
        for command in ("status", "pause", "resume", "abort")
    },
}


@pytest.mark.parametrize("command", subcommands())
def test_a_subcommand_has_a_row_and_its_flags_are_in_its_section(command: str) -> None:
    rows = {cell for section in SECTIONS[command] for cell in first_cells("cli.md", section)}
    flags = [action.option_strings[0] for action in flags_of(subcommands()[command])]

    assert [row for row in rows_of("cli.md") if row[0].startswith(f"[`{command}`]")]
    assert flags or command == "completion"
    assert [flag for flag in flags if not _has_row(flag, rows)] == []


def _has_row(flag: str, rows: set[str]) -> bool:
    return any(re.match(rf"`{re.escape(flag)}(?![\w-])", row) for row in rows)


@pytest.mark.parametrize("command", subcommands())
def test_the_choices_of_a_flag_are_in_its_row(command: str) -> None:
    rows = {cell for section in SECTIONS[command] for cell in first_cells("cli.md", section)}

    for action in flags_of(subcommands()[command]):
        if action.choices and action.option_strings:
            assert f"`{action.option_strings[0]} {'|'.join(action.choices)}`" in rows


def test_every_flag_in_the_reference_exists() -> None:
    known = {
        flag
        for parser in subcommands().values()
        for action in parser._actions
        for flag in action.option_strings
    }
    shown = {
        match[1]
        for row in rows_of("cli.md")
        for match in [re.match(r"`(--[a-z-]+)", row[0])]
        if match
    }

    assert shown - known == set()


@pytest.mark.parametrize(
    "code",
    [
        exit_codes.PROMOTED,
        exit_codes.ROLLED_BACK,
        exit_codes.ERROR,
        exit_codes.INCONCLUSIVE,
        exit_codes.INTERRUPTED,
        exit_codes.TERMINATED,
    ],
)
def test_an_exit_code_has_a_row(code: int) -> None:
    assert str(code) in first_cells("cli.md", "Exit codes")


def plan_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the keys of ``plan.yaml``, those of mappings and lists inside it too."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        yield key
        for inner in models_in(field.annotation):
            is_list = get_origin(field.annotation) is tuple
            yield from plan_keys(inner, f"{key}[]." if is_list else f"{key}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models_in(each)


def test_every_plan_key_has_a_row_and_every_row_is_a_key() -> None:
    sections = (
        "",
        "objective",
        "smokeTests",
        "requests",
        "conditions",
        "gates",
        "notify",
        "workloads",
    )
    cells = {cell for section in sections for cell in first_cells("plan.md", section)}
    shown = {cell.strip("`") for cell in cells} - {"Key"}

    assert shown == set(plan_keys(PlanFile))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_lint_rule_has_a_row_with_its_severity(rule: Rule) -> None:
    [row] = [each for each in rows_of("lint-rules.md") if each[0].startswith(f"`{rule.id}`")]

    assert row[1] == rule.severity.value
    assert row[0].endswith(" *") is not rule.allowable
    assert all(row)


def test_every_row_is_a_lint_rule() -> None:
    shown = {row[0].split("`")[1] for row in rows_of("lint-rules.md") if row[0].startswith("`")}

    assert shown == {rule.id for rule in RULES}


def test_every_series_has_a_row_with_its_labels() -> None:
    rows = {row[0].strip("`"): row for row in rows_of("rollout-metrics.md") if len(row) == 4}
    metrics = [each for each in vars(RolloutMetrics("shop", "canary")).values() if is_metric(each)]

    for metric in metrics:
        name = f"{metric._name}_total" if metric._type == "counter" else metric._name
        row = rows.pop(name)
        assert row[2] == metric._type
        assert [label for label in metric._labelnames[2:] if f"`{label}`" not in row[1]] == []

    assert len(metrics) > 5
    assert [name for name in rows if name.startswith("kv_rollout_")] == []


def is_metric(value: object) -> bool:
    return isinstance(value, MetricWrapperBase)


@pytest.mark.parametrize("kind", [each.value for each in EventKind])
def test_a_kind_of_event_has_a_row(kind: str) -> None:
    assert f"`{kind}`" in first_cells("rollout-metrics.md", "Events")


@pytest.mark.parametrize("reason", [each.value for each in Reason])
def test_a_reason_has_a_row(reason: str) -> None:
    assert f"`{reason}`" in first_cells("rollout-metrics.md", "Reasons")
