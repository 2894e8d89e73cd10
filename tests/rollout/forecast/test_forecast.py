"""A forecast walks the plan with the real controller, and knows good releases from bad ones."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from rollout.evidence.counts import Arm
from rollout.forecast.binomial import draw_binomial
from rollout.forecast.forecast import (
    CLEAR,
    GOOD,
    Forecast,
    kinds_of_releases,
    short_steps,
    simulate,
)
from rollout.forecast.world import Release, World
from rollout.plan.loading import load_plan
from rollout.plan.model import Plan
from rollout.runner.decisions import Verdict
from tests.rollout.cli.cli_runner import call
from tests.support.manifests import ROOT

STABLE = Release(0.001, tuple(0.2 * 0.1**power for power in range(10)))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(str(ROOT / "istio" / "canary")).plan


@pytest.mark.parametrize(
    ("trials", "probability"),
    [(10, 0.3), (300, 0.001), (300, 0.97), (5000, 0.02), (100_000, 0.4)],
)
def test_random_numbers_have_the_mean_and_the_spread_of_a_binomial(
    trials: int, probability: float
) -> None:
    chance = random.Random(1)
    drawn = [draw_binomial(chance, trials, probability) for _ in range(4000)]
    mean = sum(drawn) / len(drawn)
    variance = sum((each - mean) ** 2 for each in drawn) / len(drawn)
    expected = trials * probability * (1 - probability)

    assert mean == pytest.approx(trials * probability, abs=5 * (expected / 4000) ** 0.5)
    assert variance == pytest.approx(expected, rel=0.2)
    assert 0 <= min(drawn) <= max(drawn) <= trials


@pytest.mark.parametrize(("probability", "hits"), [(0.0, 0), (1.0, 7), (-0.1, 0)])
def test_what_is_certain_is_drawn(probability: float, hits: int) -> None:
    assert draw_binomial(random.Random(1), 7, probability) == hits


async def forecast(plan: Plan, kind: str, rollouts: int = 30, rate: float = 50.0) -> Forecast:
    canary = kinds_of_releases(plan, STABLE)[kind]
    return Forecast(
        kind,
        tuple(
            [
                await simulate(plan, rate, STABLE, canary, random.Random(f"{kind} {number}"))
                for number in range(rollouts)
            ]
        ),
    )


async def test_a_good_release_is_promoted_and_a_bad_one_is_not(plan: Plan) -> None:
    good = await forecast(plan, GOOD)
    clear = await forecast(plan, CLEAR)
    broken = await forecast(plan, "fails everything")

    assert good.ratio(Verdict.PROMOTED) >= 0.9
    assert clear.ratio(Verdict.ROLLED_BACK) >= 0.9
    assert broken.ratio(Verdict.ROLLED_BACK) == 1
    assert broken.seconds < good.seconds
    assert sum(good.ratio(verdict) for verdict in Verdict) == pytest.approx(1)


async def test_a_step_with_too_few_requests_is_too_short(plan: Plan) -> None:
    few, many = await forecast(plan, CLEAR, rate=5), await forecast(plan, CLEAR, rate=5000)

    assert "01" in dict(short_steps(plan, [few]))
    assert dict(short_steps(plan, [many])) == {}


async def test_requests_arrive_at_the_rate_and_by_the_weights_in_force(plan: Plan) -> None:
    world = World(plan, 100.25, STABLE, STABLE, random.Random(1))
    [ten] = [each for each in plan.steps if each.share == 0.1]

    for _ in range(100):
        world.now += 1
        await world.read()
    before = (await world.read()).counts
    await world.apply(ten)
    world.now += 1000
    after = (await world.read()).counts

    assert sum(each.requests for each in before.values()) == 10_025
    assert sum(each.requests for each in after.values()) == 110_275
    canary = sum(each.requests for series, each in after.items() if series.arm is Arm.CANARY)
    assert canary == world.canary.requests == pytest.approx(10_025, rel=0.05)
    assert not [
        each for series, each in before.items() if series.arm is Arm.CANARY and each.slow[0]
    ]


async def test_a_baseline_gets_its_share(plan: Plan) -> None:
    steps = tuple(
        replace(each, baseline_share=each.share if each.share and each.share <= 0.5 else 0.0)
        for each in plan.steps
    )
    world = World(
        replace(plan, baseline="baseline", steps=steps), 100.0, STABLE, STABLE, random.Random(1)
    )
    await world.apply(next(each for each in steps if each.share == 0.1))

    world.now += 1000
    counts = (await world.read()).counts

    shares = {series.arm: each.requests / 100_000 for series, each in counts.items()}
    assert shares[Arm.BASELINE] == pytest.approx(0.1, rel=0.05)
    assert shares[Arm.STABLE] == pytest.approx(0.8, rel=0.05)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rollout", "plan", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("strategy", ["canary", "blue-green", "ab"])
def test_the_command_prints_a_row_for_each_kind_and_each_step(strategy: str) -> None:
    directory = ROOT / "istio" / strategy
    ended = call("plan", directory, "--rate", "50", "--simulations", "5", "--format", "json")

    assert ended.code == 0, ended.err
    found: Any = json.loads(ended.out)
    assert found["releases"][0]["kind"] == GOOD
    assert len(found["releases"]) == 5
    assert found["releases"][0]["promoted"] >= 0.8
    assert found["releases"][3]["rolledBack"] == 1
    assert all(each["canaryRequests"] > 0 for each in found["steps"])


def test_the_text_says_which_step_is_too_short_and_the_seed_repeats_it() -> None:
    arguments = ("istio/canary", "--rate", "5", "--simulations", "2")
    one, again = run(*arguments), run(*arguments)

    assert one.returncode == 0, one.stderr
    assert one.stdout == again.stdout
    assert "too short" in one.stdout
    assert one.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("istio/mirror", "--rate", "5"), "the strategy walk compares nothing"),
        (("istio/canary", "--rate", "5", "--slow", "0.1"), "give 10 ratios"),
        (("istio/canary", "--rate", "0"), "is no rate"),
        (("istio/canary", "--rate", "5", "--errors", "2"), "is no ratio"),
    ],
)
def test_what_can_not_be_forecast_is_refused(arguments: tuple[str, ...], said: str) -> None:
    directory, *more = arguments
    ended = call("plan", ROOT / directory, *more)

    assert ended.code == 2
    assert said in ended.err
