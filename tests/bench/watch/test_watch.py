"""The bench of watches, in its short form. How late a busy machine is told is not asked here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame.program import Run
from bench.watch.cost import fan_out, idle
from bench.watch.faults import KILLED, lateness, watch_fault
from bench.watch.sizes import Sizes
from bench.watch.watcher import Watcher
from tests.conftest import need_redis_7

SHORT = Sizes(
    before_seconds=0.3,
    fault_seconds=0.5,
    after_seconds=0.3,
    watchers=20,
    idle_seconds=0.1,
    changes=3,
)


def test_a_fault_leaves_every_watcher_with_the_last_state(tmp_path: Path) -> None:
    need_redis_7()

    rows = {row.title: row for row in watch_fault(KILLED, Run(SHORT, tmp_path, ()))}

    assert rows["told in reverse"].value == 0
    assert rows["watchers that are wrong at the end"].value == 0
    assert rows["resets"].value > 0


def test_every_watcher_of_a_crowd_is_told(tmp_path: Path) -> None:
    need_redis_7()
    run = Run(SHORT, tmp_path, ())

    assert len([*idle(run), *fan_out(run)]) == 3


def test_lateness_counts_from_the_end_of_the_fault_until_a_later_state_is_told() -> None:
    watcher = Watcher([], "/v1/kv?prefix=w/")
    watcher.told = [("w/1", 1, 10.1), ("w/1", 3, 21.5), ("w/2", 1, 10.0)]
    changes = [("w/1", 1, 10.0), ("w/1", 2, 19.0), ("w/1", 3, 21.0), ("w:1", 9, 10.0)]

    assert lateness(watcher, changes, 18.0, 20.0) == pytest.approx(1.5)
    assert lateness(watcher, [("w/2", 2, 10.0)], 18.0, 20.0) == float("inf")
