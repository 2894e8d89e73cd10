"""Harm: the e-value of a canary that is no worse does not grow on average."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.evidence.objective import Objective
from tests.rollout.evidence.windows_and_counts import (
    EDGES,
    OBJECTIVE,
    after,
    counts,
    gathered,
    repeated,
    window,
)

#: Earlier windows, good and bad for the canary, with any share.
HISTORY = st.lists(
    st.builds(
        lambda old, new, bad, worse: window(
            counts(old, min(old, bad)), counts(new, min(new, worse))
        ),
        st.integers(0, 60),
        st.integers(0, 60),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=5,
)
REQUESTS = st.integers(0, 25)
#: Odds of a failure of the canary, as multiples of stable's; 1 if the releases are equally good.
ODDS = st.sampled_from((1.0, 1.0, 0.7, 0.2))


def fates(stable: int, canary: int, bad: int, odds: float) -> Iterator[tuple[float, int]]:
    """Yield how likely it is that so many of the bad requests are the canary's: all cases."""
    weights = {
        of_canary: comb(canary, of_canary) * comb(stable, bad - of_canary) * odds**of_canary
        for of_canary in range(max(0, bad - stable), min(canary, bad) + 1)
    }
    total = sum(weights.values())
    for of_canary, weight in weights.items():
        yield weight / total, of_canary


def mean_after(
    evidence: Evidence,
    outcomes: Iterator[tuple[float, int]],
    seen: Callable[[int], Window],
    e_value: Callable[[Evidence], float],
) -> float:
    return sum(chance * e_value(after(evidence, seen(hits))) for chance, hits in outcomes)


@settings(max_examples=150)
@given(HISTORY, REQUESTS, REQUESTS, st.floats(0, 1), ODDS)
def test_harm_grows_by_no_window_on_average_while_the_canary_is_no_worse(
    history: list[Window], stable: int, canary: int, part: float, odds: float
) -> None:
    evidence = gathered(history)
    bad = round(part * (stable + canary))

    def seen(hits: int) -> Window:
        return window(counts(stable, bad - hits), counts(canary, hits))

    e_values: list[Callable[[Evidence], float]] = [
        lambda known: known.harm,
        lambda known: known.harm_errors,
        lambda known: known.harm_slow[EDGES[1]],
    ]
    for e_value in e_values:
        mean = mean_after(evidence, fates(stable, canary, bad, odds), seen, e_value)
        assert mean <= e_value(evidence) * (1 + 1e-9)


def test_a_canary_that_is_worse_makes_harm_grow_on_average() -> None:
    """Test of the test above: the mean does grow if the canary is worse."""
    evidence = Evidence(OBJECTIVE)

    mean = mean_after(
        evidence,
        fates(20, 10, 3, odds=20.0),
        lambda hits: window(counts(20, 3 - hits), counts(10, hits)),
        lambda known: known.harm,
    )

    assert mean > 1.2


def test_harm_begins_at_one_minus_the_weight_of_a_breach() -> None:
    assert isclose(Evidence(OBJECTIVE).harm, 0.9)
    assert isclose(Evidence(Objective(slow_seconds=())).harm, 0.9)


def test_errors_of_the_canary_alone_are_harm() -> None:
    evidence = gathered(repeated(window(counts(225), counts(25, 1)), 10))

    assert evidence.harmful
    assert evidence.harm >= 100
    assert evidence.worst == "errors"
    assert not evidence.proven
    assert not evidence.breached


def test_harm_needs_as_much_evidence_as_its_objective_says() -> None:
    windows = list(repeated(window(counts(225), counts(25, 1)), 5))

    assert gathered(windows).harmful
    assert not gathered(
        windows, objective=Objective(slow_seconds=EDGES, false_rollback=1e-6)
    ).harmful


def test_slow_answers_are_harm_and_the_edge_is_named() -> None:
    evidence = gathered(repeated(window(counts(225, 0, (3, 0)), counts(25, 0, (4, 0))), 20))

    assert evidence.harmful
    assert evidence.worst == "0.1s"
    assert evidence.harm_slow[0.1] > 100
    assert evidence.harm_slow[0.5] == evidence.harm_errors == pytest.approx(1)


def test_slow_answers_of_both_are_no_harm() -> None:
    evidence = gathered(repeated(window(counts(225, 0, (90, 9)), counts(25, 0, (10, 1))), 50))

    assert evidence.harm < 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_an_outage_of_both_is_no_harm(share: float) -> None:
    canary = round(1000 * share)
    quiet = window(counts(1000 - canary, 1), counts(canary))
    outage = window(counts(1000 - canary, 1000 - canary), counts(canary, canary))

    evidence = gathered([quiet, outage, outage, quiet], share)

    assert evidence.harm < 0.9
    assert evidence.breach == 1


@pytest.mark.parametrize(
    "alone",
    [window(counts(100, 50)), window(None, counts(100, 50)), window()],
    ids=["stable", "canary", "neither"],
)
def test_a_window_with_one_release_alone_says_nothing_of_harm(alone: Window) -> None:
    evidence = gathered(repeated(window(counts(90, 1), counts(10, 1)), 2))

    assert after(evidence, alone).harm == pytest.approx(evidence.harm, rel=1e-12)


def test_shares_that_change_between_windows_are_no_harm() -> None:
    """In total the canary fails 9 % and stable 2 %, but only because its share was larger then."""
    good_hour = window(counts(900, 9), counts(100, 1))
    bad_hour = window(counts(100, 10), counts(900, 90))

    evidence = gathered([good_hour, bad_hour])

    assert evidence.canary == counts(1000, 91)
    assert evidence.stable == counts(1000, 19)
    assert evidence.harm < 0.9


def test_without_edges_only_errors_count() -> None:
    objective = Objective(slow_seconds=())
    one = Window(0.0, 5.0, Counts(225, 0), Counts(25, 2))

    evidence = gathered([one] * 5, objective=objective)

    assert evidence.harmful
    assert evidence.harm_slow == {}
    assert evidence.worst == "errors"


def test_young_pods_are_not_judged_by_their_latency_at_any_share() -> None:
    evidence = Evidence(OBJECTIVE)
    for number in range(30):
        at = 5.0 * number
        one = Window(at, at + 5, counts(240, 0, (24, 2)), counts(10, 0, (8, 8)))
        evidence.observe(one, 0.04, warm=False)

    assert not evidence.harmful
    assert all(value <= 1 for value in evidence.harm_slow.values())
