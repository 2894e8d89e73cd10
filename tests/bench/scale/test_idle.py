"""Idle connections and watchers, a few of them, and too few open files."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from bench.frame.errors import Unavailable
from bench.frame.program import Run
from bench.scale.idle import measure_idle
from bench.scale.points import Sizes
from bench.testbed.crowd import allow_open_files
from tests.conftest import need_redis_7


def test_every_idle_connection_and_watcher_has_had_its_answer(tmp_path: Path) -> None:
    need_redis_7()

    rows = list(measure_idle(Run(Sizes(idle=20), tmp_path, ())))

    assert [row.title for row in rows] == ["20 idle connections", "20 idle watchers"]
    assert all("without" in row.note for row in rows)


def test_too_low_a_hard_limit_of_open_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))

    with pytest.raises(Unavailable, match="may open 4096 files here, 10500 are needed"):
        allow_open_files(10_500)
