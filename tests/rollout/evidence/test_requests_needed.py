"""How many more requests a proof takes is about what it takes then."""

from __future__ import annotations

import random
import statistics

import pytest

from rollout.evidence import Evidence, Objective
from rollout.evidence.counts import Counts, Window
from rollout.forecast.binomial import draw_binomial

NOTHING = Counts(0, 0)


def requests_to_a_proof(ratio: float, chance: random.Random) -> tuple[int | None, int]:
    """Return what was expected before the canary had a request, and what it took."""
    evidence = Evidence(Objective(slow_seconds=()))
    old = Counts(50_000, round(50_000 * ratio))
    evidence.observe(Window(0, 5, old, NOTHING), share=0)
    expected, requests = evidence.requests_needed, 0
    while not evidence.proven:
        counts = Counts(50, draw_binomial(chance, 50, ratio))
        start = 5 + requests / 50
        evidence.observe(Window(start, start + 1, NOTHING, counts), share=None)
        requests += 50
    assert evidence.requests_needed == 0
    return expected, requests


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.002, 0.004])
def test_a_proof_takes_about_as_many_requests_as_were_said_to_be_missing(ratio: float) -> None:
    chance = random.Random(7)
    runs = [requests_to_a_proof(ratio, chance) for _ in range(30)]

    took = statistics.median(requests for _, requests in runs)

    assert runs[0][0] == pytest.approx(took, rel=0.5)


def test_more_requests_do_not_help_a_canary_that_fails_too_often() -> None:
    evidence = Evidence(Objective(slow_seconds=()))

    evidence.observe(Window(0, 5, Counts(1000, 1), Counts(1000, 12)), share=None)

    assert evidence.requests_needed is None
