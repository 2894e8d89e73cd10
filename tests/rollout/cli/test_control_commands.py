"""``status``, ``pause``, ``resume`` and ``abort`` without a runner: they use the saved state."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from rollout.cli.status import Live, describe
from rollout.cluster.lease_object import Holder
from rollout.cluster.live_weights import CanaryWeight
from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.evidence.windows import WindowBuilder
from rollout.plan.loading import load_plan
from rollout.plan.model import Plan
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.rollout_state import RolloutState
from rollout.runner.state_store import ControlCommand
from tests.rollout.cli.cli_runner import Result, call
from tests.rollout.cli.example_service import write_rollout

BEGAN: Final = 1_700_000_000.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_rollout(tmp_path / "rollout", "shop")


@pytest.fixture
def plan(directory: Path) -> Plan:
    return load_plan(str(directory)).plan


def state_of(plan: Plan) -> RolloutState:
    evidence = Evidence(plan.objective)
    slow = (0,) * len(plan.objective.slow_seconds)
    evidence.observe(
        Window(0, 5, Counts(900, 3, tuple(3 for _ in slow)), Counts(100, 0, slow)), 0.5
    )
    return RolloutState(
        since=BEGAN, step_since=BEGAN + 60, change_since=BEGAN + 55, evidence=evidence,
        windows=WindowBuilder(len(slow)), step=1, intended=1, canary_rate=10.0,
    )  # fmt: skip


def save_state(directory: Path, plan: Plan, state: RolloutState) -> None:
    async def save() -> None:
        store = DirectoryStateStore(directory)
        async with store.hold():
            await store.save(state.dump(plan))

    asyncio.run(save())


def ask(name: str, directory: Path, state: Path, *more: str) -> Result:
    return call(name, directory, "--state", state, *more)


def test_the_status_as_json(plan: Plan) -> None:
    state = state_of(plan)
    state.seen_at, state.held = BEGAN + 90, "drift: somebody"
    live = Live(
        Holder("process 1 on here", 2.0), (CanaryWeight("spec.http[0].route[1].weight", 60),)
    )

    said = describe(json.loads(json.dumps(state.dump(plan))), ControlCommand.PAUSE, live)

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
        "held": "drift: somebody",
        "order": "pause",
        "runner": {"holder": "process 1 on here", "seen_seconds": 2.0},
        "live": [{"path": "spec.http[0].route[1].weight", "percent": 60}],
        "live_unknown": "",
        "drift": "spec.http[0].route[1].weight gives the canary 60 %, where step 50 gives it 50 %",
        "requests": {"stable": 900, "canary": 100},
        "failures": {"stable": 3, "canary": 0},
        "requests_needed": 548,
        "seconds_needed": 54.8,
    }
    assert list(evidence) == ["harm", "merit", "breach", "mismatch"]
    assert evidence["harm"]["needed"] == 100


def test_the_status_as_text(directory: Path, plan: Plan, state: Path) -> None:
    rollout = state_of(plan)
    rollout.intended = 2
    save_state(state, plan, rollout)
    assert ask("pause", directory, state).code == 0

    said = ask("status", directory, state)

    assert said.code == 0
    lines = [
        each for each in said.out.splitlines() if not each.startswith("  live routes: unknown")
    ]
    assert lines[0] == "rollout: running"
    assert lines[1].startswith("  step 50, 50 % to the canary, for ")
    assert lines[2:6] == [
        "  changing to step 100",
        "  pending command: pause",
        "  stable: 900 requests, 3 failed",
        "  canary: 100 requests, 0 failed",
    ]
    assert lines[6].startswith("  harm: 0.63/100")
    assert lines[10] == "  a proof needs about 550 more requests, 1 minute at this rate"


def test_a_verdict_is_shown_with_its_reason(directory: Path, plan: Plan, state: Path) -> None:
    rollout = state_of(plan)
    rollout.verdict, rollout.reason, rollout.ended = "rolled-back", "harm: errors", True
    save_state(state, plan, rollout)

    assert ask("status", directory, state).out.splitlines()[0] == (
        "rollout: rolled-back (harm: errors)"
    )
    for order in ControlCommand:
        refused = ask(order.value, directory, state)
        assert refused.code == 2
        assert refused.err == (
            "no rollout of shop/kv is running; tallykv-rollout status shows the last one\n"
        )


def test_without_a_saved_state_they_exit_with_2(directory: Path, state: Path) -> None:
    for name in ("status", "pause", "resume", "abort"):
        assert ask(name, directory, state).code == 2


def test_an_abort_can_not_be_cancelled(directory: Path, plan: Plan, state: Path) -> None:
    save_state(state, plan, state_of(plan))
    assert ask("abort", directory, state).code == 0

    refused = ask("resume", directory, state)

    assert refused.code == 2
    assert "an abort is pending" in refused.err


@pytest.mark.parametrize("rollout", ["shop/kv", "kv"])
def test_the_namespace_and_the_name_are_enough(plan: Plan, state: Path, rollout: str) -> None:
    """The plan is neither read nor linted; it may even have changed."""
    save_state(state, plan, state_of(plan))

    for name in ("pause", "resume", "status", "abort"):
        said = call(name, rollout, "--namespace", "shop", "--state", state)
        assert said.code == 0, said.err


def test_a_damaged_state_does_not_keep_a_command_from_the_runner(state: Path) -> None:
    state.mkdir()
    (state / "state.json").write_text("{")

    assert call("abort", "shop/kv", "--state", state).code == 0


@pytest.mark.parametrize("rollout", ["a/b/c", "/", "shop/"])
def test_what_is_no_rollout_is_refused(state: Path, rollout: str) -> None:
    said = call("status", rollout, "--state", state)

    assert said.code == 2
    assert "write NAMESPACE/NAME" in said.err
