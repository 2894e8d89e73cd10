"""Ratios of servers that are measured in turns."""

from __future__ import annotations

import pytest

from bench.frame.rows import at_most
from bench.testbed.turns import Turns


def test_a_ratio_is_compared_turn_by_turn_and_carries_the_noise_of_the_twins() -> None:
    # The machine is twice as slow in the second round; the twin is 4 % off in one of them.
    times = {
        "new": [[11.0, 12.0, 11.0], [22.0, 22.0, 22.0]],
        "old": [[10.0, 10.0, 10.0], [20.0, 20.0, 20.0]],
        "old, again": [[10.0, 10.4, 10.4], [20.0, 20.0, 19.0]],
    }
    turns = Turns(("old", "old, again"), times=times)

    row = turns.ratio_row("new beside old", "new", "old", at_most(1.06))

    assert row.value == pytest.approx(1.1)
    assert row.noise == pytest.approx(0.04)
    assert row.verdict == "within noise"
    assert "pairs 1.1 to 1.2" in row.note
    assert turns.noise_row("old").value == pytest.approx(4)
