"""The requests of a rehearsal: some of them may select the canary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rollout.cli.exit_codes import UsageError
from rollout.cli.rehearse import build_request_mix
from rollout.plan.loading import load_plan
from rollout.plan.model import CanaryRequests, Plan
from rollout.rehearsal.request_mix import KeyValueMix, RepeatedRequest
from tests.rollout.cli.example_service import write_rollout


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load_plan(str(write_rollout(tmp_path / "rollout", "shop"))).plan


def test_a_share_of_the_requests_selects_the_canary(plan: Plan) -> None:
    by_header = replace(plan, canary_requests=CanaryRequests((("x-variant", "b"),), 0.3))
    mix = build_request_mix(by_header, RepeatedRequest.parse("GET /v1/limits"), 100)

    drawn = [mix.draw() for _ in range(2000)]

    selecting = [each for each in drawn if each.headers.get("x-variant") == "b"]
    # Ten standard deviations.
    assert abs(len(selecting) - 600) < 205
    assert {each.path for each in drawn} == {"/v1/limits"}


def test_an_increment_that_selects_the_canary_keeps_its_key(plan: Plan) -> None:
    by_header = replace(plan, canary_requests=CanaryRequests((("x-variant", "b"),), 0.999999))
    mix = build_request_mix(by_header, KeyValueMix(), 100)

    increments = [each for each in (mix.draw() for _ in range(500)) if each.counter]

    assert increments
    assert all({"Idempotency-Key", "x-variant"} == set(each.headers) for each in increments)


def test_a_step_without_weights_needs_requests_that_select_the_canary(plan: Plan) -> None:
    by_header = replace(plan, steps=(plan.steps[0], replace(plan.steps[1], share=None)))

    with pytest.raises(UsageError, match="request headers select the canary"):
        build_request_mix(by_header, KeyValueMix(), 100)
    assert build_request_mix(by_header, KeyValueMix(), 0)
