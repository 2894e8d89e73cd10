"""Each reason of a hold or a verdict has a sentence that explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from rollout.evidence import Evidence, Objective
from rollout.evidence.counts import Counts, Window
from rollout.runner.decisions import Reason
from rollout.runner.reasons import (
    describe_canary_traffic,
    explain_hold,
    explain_missing_proof,
    explain_verdict,
)
from tests.rollout.runner.simulated_service import plan_of

PLAN: Final = plan_of(0.0, 0.5, 1.0)
TOO_FEW: Final = "there are too few requests yet to prove that the canary meets the objective"


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("harm: errors", "the canary fails more of its requests than the stable release does"),
        ("harm: slowing", "the canary has become slower than it was"),
        ("harm: 0.25s", "more of the canary's requests take over 0.25 s"),
        ("breach", "with all traffic, the canary fails more than 1 % of its requests"),
        ("aborted", "a person aborted the rollout"),
        ("deadline", "the plan's deadline passed while the rollout waited: no data"),
        ("good", "the canary meets the objective and is not worse than the stable release"),
    ],
)
def test_each_verdict_has_its_sentence(reason: str, sentence: str) -> None:
    assert explain_verdict(reason, PLAN, "no data").startswith(sentence)


@pytest.mark.parametrize(
    "reason",
    [
        Reason.PAUSED,
        Reason.NO_DATA,
        Reason.MISMATCH,
        Reason.SMOKE_TESTS,
        Reason.NOT_PROVEN,
        Reason.OUTAGE,
    ],
)
def test_each_hold_says_what_it_waits_for(reason: Reason) -> None:
    assert len(explain_hold(reason.value).split()) > 5


@pytest.mark.parametrize(
    ("stable", "canary", "sentence"),
    [
        (
            (1000, 0),
            (100, 1),
            f"{TOO_FEW}: it needs about 3,000 more requests, 25 minutes at this rate",
        ),
        ((1000, 0), (0, 0), f"{TOO_FEW}: it needs about 390 more requests, 3 minutes at this rate"),
        (
            (1000, 0),
            (100, 5),
            "the canary failed 5 % of its requests, and the objective allows 1 %",
        ),
        (
            (1000, 1000),
            (100, 100),
            (
                "the canary failed 100 % of its requests, and the objective allows 1 %; the stable"
                " release failed 100 % too: no release can be promoted while both fail"
            ),
        ),
    ],
)
def test_a_missing_proof_names_the_failures_and_whose_they_are(
    stable: tuple[int, int], canary: tuple[int, int], sentence: str
) -> None:
    evidence = Evidence(Objective(slow_seconds=()))
    evidence.observe(Window(0.0, 5.0, Counts(*stable), Counts(*canary)), None)

    assert explain_missing_proof(PLAN, evidence, per_second=2.0) == sentence


def test_a_pause_names_the_command_that_ends_it_and_a_step_s_time_needs_no_sentence() -> None:
    assert "tallykv-rollout resume" in explain_hold("paused")
    assert explain_hold("step-time") == ""


def test_what_the_canary_still_gets_is_that_of_the_step_in_force() -> None:
    assert describe_canary_traffic(PLAN, 1) == "the canary still gets 50 % of the requests"
    assert (
        describe_canary_traffic(PLAN, -1)
        == describe_canary_traffic(PLAN, 0)
        == "as far as is known, the canary gets no requests"
    )
    by_header = replace(PLAN, steps=(PLAN.steps[0], replace(PLAN.steps[1], share=None)))
    assert (
        describe_canary_traffic(by_header, 1)
        == "the canary still gets the requests that ask for it"
    )
