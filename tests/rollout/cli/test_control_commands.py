"""``status`` and the orders, where no runner works: what is kept is all they need."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from rollout.cli.control import describe
from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.plan.loading import load_plan
from rollout.plan.model import Plan
from rollout.runner.directory_state_store import DirectoryState
from rollout.runner.rollout_state import Standing
from rollout.runner.state_store import Order
from tests.rollout.cli.cli_runner import Said, called
from tests.rollout.cli.example_service import write_rollout

BEGAN: Final = 1_700_000_000.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_rollout(tmp_path / "rollout", "shop")


@pytest.fixture
def plan(directory: Path) -> Plan:
    return load_plan(str(directory)).plan


def standing(plan: Plan) -> Standing:
    evidence = Evidence(plan.objective)
    slow = (0,) * len(plan.objective.slow_seconds)
    evidence.observe(Window(0, 5, Counts(900, 3, (3, 3, 3)), Counts(100, 0, slow)), 0.5)
    return Standing(
        since=BEGAN, step_since=BEGAN + 60, change_since=BEGAN + 55, evidence=evidence, step=1,
        intended=1,
    )  # fmt: skip


def keep(state: Path, plan: Plan, kept: Standing) -> None:
    async def save() -> None:
        store = DirectoryState(state)
        async with store.hold():
            await store.save(kept.dump(plan))

    asyncio.run(save())


def ask(name: str, directory: Path, state: Path, *more: str) -> Said:
    return called(name, directory, "--state", state, *more)


def test_what_is_told_for_programs(plan: Plan) -> None:
    said = describe(plan, standing(plan), Order.PAUSE, BEGAN + 90)

    assert json.loads(json.dumps(said)) == said
    evidence = said.pop("evidence")
    assert said == {
        "rollout": "rollout",
        "verdict": None,
        "reason": None,
        "step": "50",
        "going_to": None,
        "share": 0.5,
        "step_seconds": 30,
        "seconds": 90,
        "paused": False,
        "order": "pause",
        "requests": {"stable": 900, "canary": 100},
        "failures": {"stable": 3, "canary": 0},
    }
    assert list(evidence) == ["harm", "merit", "breach", "mismatch"]
    assert evidence["harm"]["needed"] == 100


def test_what_is_told_for_people(directory: Path, plan: Plan, state: Path) -> None:
    kept = standing(plan)
    kept.intended = 2
    keep(state, plan, kept)
    assert ask("pause", directory, state).code == 0

    said = ask("status", directory, state)

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "rollout: running"
    assert lines[1].startswith("  step 50, 50 % to the canary, for ")
    assert lines[2:6] == [
        "  on its way to step 100",
        "  asked for and not yet done: pause",
        "  stable: 900 requests, 3 failed",
        "  canary: 100 requests, 0 failed",
    ]
    assert lines[6].startswith("  harm: 0.29 of 100")


def test_an_end_is_told_with_its_reason(directory: Path, plan: Plan, state: Path) -> None:
    kept = standing(plan)
    kept.verdict, kept.reason, kept.ended = "rolled-back", "harm: errors", True
    keep(state, plan, kept)

    assert ask("status", directory, state).out.splitlines()[0] == (
        "rollout: rolled-back (harm: errors)"
    )
    for order in Order:
        refused = ask(order.value, directory, state)
        assert refused.code == 2
        assert refused.err == "no rollout of rollout runs; status says what is known\n"


def test_nothing_is_known_of_what_never_began(directory: Path, state: Path) -> None:
    for name in ("status", "pause", "resume", "abort"):
        assert ask(name, directory, state).code == 2


def test_an_abort_is_not_taken_back(directory: Path, plan: Plan, state: Path) -> None:
    keep(state, plan, standing(plan))
    assert ask("abort", directory, state).code == 0

    refused = ask("resume", directory, state)

    assert refused.code == 2
    assert "an abort stands already" in refused.err


def test_a_plan_that_changed_is_named(directory: Path, plan: Plan, state: Path) -> None:
    keep(state, plan, standing(plan))
    (directory / "steps" / "50").rename(directory / "steps" / "60")

    refused = ask("status", directory, state)

    assert refused.code == 2
    assert "the plan has changed since this rollout began" in refused.err
