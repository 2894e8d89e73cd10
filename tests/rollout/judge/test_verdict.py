"""Which verdict wins, what it opens, and how many requests are missing."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series
from rollout.judge.comparison import Clocks, Comparison
from rollout.judge.definition import ComparisonSpec, DefinitionInvalid, parse_definition
from rollout.judge.engine import LONGEST_WINDOW_SECONDS
from rollout.judge.verdict import Gate
from tests.rollout.judge.judge_process import LABEL

NOTHING: Final = Counts(0, 0)


class Clock:
    """Both clocks of a comparison; ``now`` is when Prometheus took its samples, too."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now


class Observed:
    """A comparison and counters that only grow."""

    def __init__(self, **more: Any) -> None:
        self.clock = Clock()
        definition = {
            "source": {"app": {"namespace": "kv", "label": LABEL}},
            "objective": {"slow": []},
            **more,
        }
        self.spec = parse_definition(ComparisonSpec, definition)
        self.clocks = Clocks(self.clock.read, self.clock.read)
        self.comparison = Comparison(self.spec, "1.5.0", self.clocks)
        self._stable = self._canary = Counts(1, 0)
        self.serve()

    def serve(
        self, stable: Counts = NOTHING, canary: Counts = NOTHING, seconds: float = 5.0
    ) -> None:
        self.clock.now += seconds
        self._stable += stable
        self._canary += canary
        counts = {
            Series(Arm.STABLE, "proxy"): self._stable,
            Series(Arm.CANARY, "proxy"): self._canary,
        }
        self.comparison.observe(CounterSnapshot(self.clock.now, counts, {}))

    def serve_badly(self) -> None:
        """Serve a minute in which the canary fails a fifth: one window alone proves little."""
        for _ in range(12):
            self.serve(Counts(90, 0), Counts(10, 2))

    @property
    def shown(self) -> Any:
        return json.loads(json.dumps(self.comparison.describe("kv"), allow_nan=False))

    def opens(self) -> dict[str, bool]:
        return {gate.value: self.comparison.verdict.opens(gate) for gate in Gate}


@pytest.mark.parametrize(
    ("stable", "canary", "word", "gates"),
    [
        ((900, 1), (100, 0), "not-proven", {"advance"}),
        ((900, 1), (600, 0), "good", {"advance", "promote"}),
        ((900, 200), (100, 22), "both-fail", set()),
        ((900, 30), (600, 20), "not-proven", {"advance"}),
        ((900, 1), (0, 0), "no-data", set()),
        ((0, 0), (600, 0), "no-data", set()),
        ((0, 0), (0, 0), "no-data", set()),
    ],
)
def test_a_verdict_opens_its_gates(
    stable: tuple[int, int], canary: tuple[int, int], word: str, gates: set[str]
) -> None:
    observed = Observed()

    observed.serve(Counts(*stable), Counts(*canary))

    assert observed.shown["verdict"] == word
    assert {gate for gate, is_open in observed.opens().items() if is_open} == gates


def test_harm_opens_the_way_back_alone() -> None:
    observed = Observed()

    observed.serve_badly()

    assert observed.shown["verdict"] == "harm"
    assert observed.opens() == {"advance": False, "promote": False, "rollback": True}


@pytest.mark.parametrize(("slow", "word"), [(0, "harm"), (120, "good")])
def test_latencies_are_compared_with_the_baselines_from_the_first_on(slow: int, word: str) -> None:
    """The canary's pods are young: without a baseline their latencies count only later."""
    label = {**LABEL, "baseline": "baseline"}
    objective = {"slow": ["100ms"]}
    spec = parse_definition(
        ComparisonSpec,
        {"source": {"app": {"namespace": "kv", "label": label}}, "objective": objective},
    )
    clock = Clock()
    comparison = Comparison(spec, "1.5.0", Clocks(clock.read, clock.read))
    arms = {Arm.STABLE: (400, 0), Arm.BASELINE: (200, slow), Arm.CANARY: (200, 120)}

    for number in range(1, 8):
        clock.now += 5
        counts = {
            Series(arm, "proxy"): Counts(requests * number, 0, (slow_ones * number,))
            for arm, (requests, slow_ones) in arms.items()
        }
        comparison.observe(CounterSnapshot(clock.now, counts, {}))

    shown = comparison.describe("kv")
    assert (shown["verdict"], shown["stable"]["requests"]) == (word, 6 * 600)
    assert spec.build_query()[0].release_label.arm_of("baseline") is Arm.BASELINE


def test_a_baseline_has_a_value_of_its_own() -> None:
    label = {**LABEL, "baseline": "canary"}

    with pytest.raises(DefinitionInvalid, match="baseline has the value of another release"):
        parse_definition(ComparisonSpec, {"source": {"app": {"namespace": "kv", "label": label}}})


def test_the_first_share_needs_requests_of_the_stable_release_alone() -> None:
    observed = Observed()
    waits = [observed.comparison.waits_for_first_share]

    observed.serve(Counts(900, 1))
    waits.append(observed.comparison.waits_for_first_share)
    # Whoever reads the answer instead of asking for the first share sees no yes.
    assert observed.shown["gates"] == {"advance": False, "promote": False, "rollback": False}

    observed.comparison.increases += 1
    waits.append(observed.comparison.waits_for_first_share)

    assert waits == [False, True, False]


def test_the_first_share_waits_for_recent_requests() -> None:
    observed = Observed()
    observed.serve(Counts(900, 1))

    observed.clock.now += 61

    assert not observed.comparison.waits_for_first_share


def test_old_data_is_no_data_but_harm_stays_proven() -> None:
    good, bad = Observed(), Observed()
    good.serve(Counts(900, 1), Counts(600, 0))
    bad.serve_badly()
    for each in (good, bad):
        each.clock.now += 61

    assert good.shown["verdict"] == "no-data"
    assert not good.opens()["promote"]
    assert bad.shown["verdict"] == "harm"
    assert bad.opens()["rollback"]


def test_one_failed_reading_is_no_lack_of_data() -> None:
    observed = Observed()
    observed.serve(Counts(900, 1), Counts(600, 0))

    observed.comparison.fail("Prometheus can't be queried")
    assert observed.shown["verdict"] == "good"
    assert observed.shown["data"]["problem"] == "Prometheus can't be queried"

    observed.clock.now += 61
    assert observed.shown["verdict"] == "no-data"
    assert observed.shown["reason"] == "Prometheus can't be queried"


def test_a_window_in_which_the_weights_may_have_changed_is_not_used() -> None:
    observed = Observed()

    observed.serve(Counts(900, 1), Counts(100, 20), seconds=LONGEST_WINDOW_SECONDS + 1)
    assert observed.shown["canary"]["requests"] == 0

    observed.serve(Counts(900, 1), Counts(100, 20))
    assert observed.shown["canary"]["requests"] == 100


def test_a_wrong_split_opens_nothing_where_the_share_is_known() -> None:
    observed = Observed(share=0.1)

    observed.serve(Counts(500, 0), Counts(500, 0))

    assert observed.shown["verdict"] == "mismatch"
    assert not any(observed.opens().values())


def test_alone_with_all_requests_the_canary_is_held_to_the_objective() -> None:
    observed = Observed(share=1)

    for _ in range(3):
        observed.serve(canary=Counts(500, 60))

    assert observed.shown["verdict"] == "breach"
    assert observed.opens()["rollback"]


def test_as_many_requests_as_are_said_to_be_missing_prove_it() -> None:
    observed = Observed()
    observed.serve(Counts(1000, 4), Counts(1000, 4))
    missing = observed.shown["requestsNeeded"]

    assert observed.shown["verdict"] == "not-proven"
    assert 100 < missing < 2000
    more = Counts(int(missing * 1.2), int(missing * 1.2 * 0.004))
    observed.serve(more, more)

    assert observed.shown["verdict"] == "good"
    assert observed.shown["requestsNeeded"] == 0


def test_more_requests_do_not_help_a_canary_that_fails_too_many() -> None:
    observed = Observed()

    observed.serve(Counts(1000, 30), Counts(1000, 30))

    assert observed.shown["requestsNeeded"] is None
    assert observed.shown["secondsNeeded"] is None
    assert "3 %" in observed.shown["reason"]


def test_a_saved_comparison_continues_with_its_evidence_but_not_with_its_last_reading() -> None:
    observed = Observed()
    observed.serve(Counts(900, 1), Counts(600, 0))
    observed.comparison.increases = 2

    saved = json.loads(json.dumps(observed.comparison.dump(), allow_nan=False))
    restored = Comparison.load(observed.spec, saved, observed.clocks)

    assert restored.describe("kv")["evidence"] == observed.shown["evidence"]
    assert (restored.run, restored.increases) == ("1.5.0", 2)
    # What was proven before says nothing of now.
    assert restored.describe("kv")["verdict"] == "no-data"


@pytest.mark.parametrize("damage", [{"format": 0}, {"evidence": {}}, {"interval": {}}])
def test_a_damaged_state_is_refused(damage: dict[str, Any]) -> None:
    observed = Observed()
    saved = observed.comparison.dump() | damage

    with pytest.raises(ValueError, match=r".+"):
        Comparison.load(observed.spec, saved, observed.clocks)
