"""The short form of ``make rollout-faults``: an outage, kills around writes, and the state lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rollout.faults.api_faults import Bench, away
from tests.rollout.faults.kills import killed_at_each_write
from tests.rollout.faults.runners import running_nursery
from tests.rollout.faults.world import running_world


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running_world(tmp_path) as world, running_nursery(world) as nursery:
        yield Bench(world, nursery)


def test_a_rollout_survives_an_outage_and_kills(bench: Bench) -> None:
    rows = [*away(bench, 1.0), *killed_at_each_write(bench, 9, is_bad=True)]

    assert [f"{row.title}: {row.value} {row.note}" for row in rows if row.is_broken] == []
