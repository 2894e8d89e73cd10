"""What our own recipes would decide: without data nobody is promoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollout.lint.argo_rollout import rollouts
from rollout.lint.flagger_canary import flagger_canaries
from rollout.lint.resource import Resource
from rollout.lint.resource_parser import ResourceParser
from rollout.lint.schemas import Schemas
from rollout.lint.sources import collect
from rollout.peers import argo, flagger
from rollout.peers.decision import Ask, Decision
from rollout.plan.loading import resources_of
from rollout.plan.plan_file import PlanInvalid
from tests.support.manifests import ROOT, need_kustomize

HOUR = 3600.0


def objects(directory: str) -> tuple[Resource, ...]:
    need_kustomize()
    parser = ResourceParser(Schemas(None), "default")
    bundles = collect([str(ROOT / "istio" / directory)])
    return tuple(each for bundle in bundles for each in resources_of(parser, bundle))


def answering(value: Callable[[str, float], list[float]]) -> Ask:
    async def ask(promql: str, at: float) -> list[float]:
        assert "{{" not in promql
        return value(promql, at)

    return ask


async def flaggers(value: Callable[[str, float], list[float]]) -> Decision:
    resources = objects("flagger")
    [canary] = flagger_canaries(resources)
    return await flagger.decide(canary, resources, answering(value), 0.0, HOUR)


async def argos(value: Callable[[str, float], list[float]]) -> Decision:
    resources = objects("argo-rollouts")
    [rollout] = rollouts(resources)
    return await argo.decide(rollout, resources, answering(value), 0.0, HOUR)


async def test_flagger_rolls_back_a_round_after_the_last_check_without_data() -> None:
    decision = await flaggers(lambda _, __: [])

    assert decision == Decision(
        "rolled back", 240, "3 failed checks, the last: errors has no value"
    )


async def test_flagger_promotes_after_a_good_round_at_each_weight() -> None:
    assert await flaggers(lambda _, __: [0.0]) == Decision("promoted", 300)


async def test_argo_pauses_at_the_first_weight_without_data() -> None:
    decision = await argos(lambda _, __: [])

    assert decision == Decision("paused for a person", 360, "requests is inconclusive: no value")


async def test_argo_waits_for_a_person_after_good_analyses() -> None:
    decision = await argos(lambda promql, _: [1000.0] if "300 *" in promql else [0.0])

    assert decision == Decision("paused for a person", 5 * 360, "a pause without a duration")


async def test_argo_aborts_when_the_analysis_beside_the_steps_fails() -> None:
    def value(promql: str, at: float) -> list[float]:
        if "300 *" in promql:
            return [1000.0]
        return [0.2] if at >= 700 and "errors" in promql else [0.0]

    decision = await argos(value)

    # Every minute from the fifth on; two of them may fail.
    assert decision == Decision("rolled back", 840, "errors is failed: 0.2")


async def test_what_is_not_known_is_named() -> None:
    resources = objects("judge/argo-rollouts")
    [rollout] = rollouts(resources)

    with pytest.raises(PlanInvalid, match="backtest does not know it"):
        await argo.decide(rollout, resources, answering(lambda _, __: []), 0.0, HOUR)
