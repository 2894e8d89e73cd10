"""A canary that has become slower, beside the old release, than it was."""

from __future__ import annotations

import json

import pytest

from rollout.evidence import Evidence
from rollout.evidence.comparison import DRIFT_WEIGHT
from rollout.evidence.counts import Counts, Window
from tests.rollout.evidence.windows_and_counts import EDGES, OBJECTIVE

#: Seconds of a window, and its requests.
LENGTH, OLD, CANARY = 5.0, 900, 100


def watched(
    evidence: Evidence,
    slow: tuple[float, float],
    *,
    since: float,
    until: float,
    share: float = 0.1,
    load: int = 1,
) -> Evidence:
    """Add windows in which these ratios of old answers, and of the canary's, are slow."""
    old, canary = OLD * load, CANARY * load
    for number in range(int(since / LENGTH), int(until / LENGTH)):
        at = number * LENGTH
        evidence.observe(
            Window(
                at,
                at + LENGTH,
                Counts(old, 0, (round(old * slow[0]),) * len(EDGES)),
                Counts(canary, 0, (round(canary * slow[1]),) * len(EDGES)),
            ),
            share,
        )
    return evidence


def test_a_canary_that_becomes_a_quarter_slower_is_harmful() -> None:
    evidence = watched(Evidence(OBJECTIVE), (0.4, 0.4), since=0, until=3600)
    assert evidence.harm < 1

    watched(evidence, (0.4, 0.5), since=3600, until=3900)

    assert evidence.harmful
    assert evidence.worst == "slowing"
    assert evidence.drift >= 1 / (DRIFT_WEIGHT * OBJECTIVE.false_rollback)


@pytest.mark.parametrize(
    ("before", "later", "options"),
    [
        # One pod may be as much slower than another, from the start on.
        ((0.4, 0.5), (0.4, 0.5), {}),
        # What both share has become slower.
        ((0.4, 0.4), (0.5, 0.5), {}),
        # With another share, and with another load, pods may be slower.
        ((0.4, 0.4), (0.4, 0.5), {"share": 0.25}),
        ((0.4, 0.4), (0.4, 0.5), {"load": 2}),
    ],
    ids=["slow pod", "both", "share", "load"],
)
def test_other_differences_are_no_drift(
    before: tuple[float, float], later: tuple[float, float], options: dict[str, float]
) -> None:
    evidence = watched(Evidence(OBJECTIVE), before, since=0, until=3600)

    # The load is known to be another one as soon as a few blocks have been counted.
    watched(evidence, before, since=3600, until=3900, **options)  # type: ignore[arg-type]
    watched(evidence, later, since=3900, until=4200, **options)  # type: ignore[arg-type]

    assert not evidence.harmful
    assert evidence.drift < 2


def test_it_is_saved() -> None:
    evidence = watched(Evidence(OBJECTIVE), (0.4, 0.4), since=0, until=1500)
    watched(evidence, (0.4, 0.5), since=1500, until=1600)

    resumed = Evidence.load(OBJECTIVE, json.loads(json.dumps(evidence.dump())))
    for each in (evidence, resumed):
        watched(each, (0.4, 0.5), since=1600, until=1700)

    assert resumed.dump() == evidence.dump()
