"""What a command wires before anything starts: traffic, tags, strays, and sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rollout.cli.canary_requests import mix_of
from rollout.cli.exit_codes import Refused
from rollout.cli.unattributed import StraysSource
from rollout.evidence.counts import Arm, Counts, Reading, Series
from rollout.evidence.windows import difference
from rollout.plan.loading import Planned, load_plan
from rollout.plan.model import Asked, Plan
from rollout.plan.plan_file import PlanInvalid
from rollout.prometheus.arm_labels import version_of
from rollout.prometheus.query import ReleaseLabel, istio_query
from rollout.runner.reasons import still_gets, why_ended, why_held
from tests.rollout.cli.shops import TIMES, write_rollout


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return load_plan(str(write_rollout(tmp_path / "rollout", "shop")))


@pytest.fixture
def plan(planned: Planned) -> Plan:
    return planned.plan


def test_a_share_of_the_requests_asks_for_the_canary(plan: Plan) -> None:
    asked = replace(plan, asked=Asked((("x-variant", "b"),), 0.3))
    mix = mix_of(asked, "GET /v1/limits", 100)

    drawn = [mix.draw() for _ in range(2000)]

    asking = [each for each in drawn if each.headers.get("x-variant") == "b"]
    # Ten standard deviations.
    assert abs(len(asking) - 600) < 205
    assert {each.path for each in drawn} == {"/v1/limits"}


def test_an_increment_that_asks_keeps_its_key(plan: Plan) -> None:
    mix = mix_of(replace(plan, asked=Asked((("x-variant", "b"),), 0.999999)), None, 100)

    increments = [each for each in (mix.draw() for _ in range(500)) if each.counter]

    assert increments
    assert all({"Idempotency-Key", "x-variant"} == set(each.headers) for each in increments)


def test_without_weights_somebody_has_to_ask_unless_nobody_does_at_all(plan: Plan) -> None:
    chosen = replace(plan, steps=(plan.steps[0], replace(plan.steps[1], share=None)))

    with pytest.raises(Refused, match="requests ask for the canary"):
        mix_of(chosen, None, 100)
    assert mix_of(chosen, None, 0)


def test_who_asks_is_read_from_the_plan(tmp_path: Path) -> None:
    text = f"{TIMES}asked: {{headers: {{x-variant: b}}, share: 0.4}}\n"

    plan = load_plan(str(write_rollout(tmp_path / "rollout", "shop", text))).plan

    assert plan.asked == Asked((("x-variant", "b"),), 0.4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("{headers: {}}", "asked.headers: "),
        ("{share: 0.3}", "asked.headers: "),
        ("{headers: {a: b}, share: 1}", "asked.share: "),
        ("{headers: {a: on}}", "true is no text; put it in quotes"),
    ],
)
def test_a_mistake_in_who_asks_is_named(tmp_path: Path, asked: str, said: str) -> None:
    plan = write_rollout(tmp_path / "rollout", "shop", f"asked: {asked}\n")

    with pytest.raises(PlanInvalid) as refused:
        load_plan(str(plan))
    assert said in str(refused.value)


def test_a_release_s_version_is_what_its_pods_are_labelled_with(planned: Planned) -> None:
    assert version_of(planned, "stable") == "1.4.0"
    assert version_of(planned, "canary") == "1.5.0"
    assert version_of(planned, "purple") is None


class _Counted:
    """Stands where Prometheus' source would: its readings are made up."""

    def __init__(self) -> None:
        self.unattributed = 7
        self.at = 1000.0

    async def read(self) -> Reading:
        return Reading(self.at, {}, {})


async def test_strays_are_spoken_of_while_they_come_and_a_minute_longer() -> None:
    counted = _Counted()
    query = istio_query(
        "kv", "shop", ReleaseLabel("destination_workload", "kv-stable", "kv-canary")
    )
    source = StraysSource(counted, query)

    async def remark_after(seconds: float, more: int) -> str:
        counted.at += seconds
        counted.unattributed += more
        await source.read()
        return source.remark()

    # Those of before the rollout are no news.
    assert await remark_after(0, 0) == ""
    said = await remark_after(15, 3)
    assert "destination_workload is neither kv-stable nor kv-canary" in said
    assert await remark_after(15, 0) == said
    assert await remark_after(46, 0) == ""
    # A proxy that began anew.
    assert await remark_after(15, -9) == ""


def reading(at: float, **requests: int) -> Reading:
    counts = {Series(Arm(arm), "gateway"): Counts(n, 0) for arm, n in requests.items()}
    return Reading(at, counts, {})


def test_the_canary_s_first_requests_at_a_proxy_that_is_known_count() -> None:
    window, baseline = difference(
        reading(10, stable=100), reading(20, stable=190, canary=9), edges=0
    )

    assert (window.stable.requests, window.canary.requests) == (90, 9)
    window, _ = difference(baseline, reading(30, stable=280, canary=20), edges=0)
    assert window.canary.requests == 11


def test_a_proxy_that_nobody_knew_may_have_counted_long_before() -> None:
    older = reading(10, stable=100)
    other = {Series(arm, "another"): Counts(5000, 0) for arm in Arm}
    newer = Reading(20, {**reading(20, stable=190).counts, **other}, {})

    window, _ = difference(older, newer, edges=0)

    assert window.requests == 90


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("harm: errors", "the canary fails more of its requests than the stable release does"),
        ("harm: 0.25s", "more of the canary's requests take over 0.25 s"),
        ("breach", "on its own, the canary fails more than 1 % of its requests"),
        ("aborted", "somebody ordered it"),
        ("deadline", "the plan's time was up while it waited: fog"),
        ("good", ""),
    ],
)
def test_each_end_has_its_sentence(plan: Plan, reason: str, said: str) -> None:
    assert why_ended(reason, plan, "fog").startswith(said)


def test_a_hold_says_what_it_waits_for_and_a_step_s_time_needs_no_words() -> None:
    assert "tallykv-rollout resume" in why_held("paused")
    assert why_held("step-time") == ""


def test_what_the_canary_still_gets_is_that_of_the_step_in_force(plan: Plan) -> None:
    assert still_gets(plan, 1) == "the canary still gets 50 % of the requests"
    assert (
        still_gets(plan, -1)
        == still_gets(plan, 0)
        == ("the canary gets no requests as far as is known")
    )
    chosen = replace(plan, steps=(plan.steps[0], replace(plan.steps[1], share=None)))
    assert still_gets(chosen, 1) == "the canary still gets the requests that ask for it"
