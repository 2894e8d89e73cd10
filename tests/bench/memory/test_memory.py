"""The bench of memory, in its short form: a few attacks of each end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame.program import Run
from bench.memory.__main__ import PROGRAM
from bench.memory.attacks import ATTACKS
from bench.memory.clients import Probes
from bench.memory.service import Sizes
from tests.conftest import need_redis_7


@pytest.mark.parametrize(
    "part", ["put-412", "put-json", "plain-201", "batch-gets", "put-cut", "patch-slow", "get-deaf"]
)
def test_large_requests_take_a_bounded_amount_of_memory(part: str, tmp_path: Path) -> None:
    need_redis_7()

    rows = {row.title: row for row in PROGRAM.parts[part](Run(Sizes(100), tmp_path, ()))}

    assert not rows["peak over idle"].is_broken, rows["peak over idle"]
    assert not rows["other clients, refused"].is_broken, rows["other clients, refused"]


def test_every_way_to_end_has_its_attacks() -> None:
    assert {attack.end for attack in ATTACKS.values()} == {"read", "cut", "slow", "deaf"}
    assert len(PROGRAM.parts) == len(ATTACKS)


def test_few_answers_do_not_make_the_percentile_longer_than_the_slowest() -> None:
    assert Probes([0.001, 0.002, 0.2]).p99_ms <= 200
