"""A short soak, and the growth of samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame.program import parse_arguments
from bench.soak.__main__ import PROGRAM
from bench.soak.resource_samples import Sample, growth
from bench.soak.service import running_soak
from tests.conftest import need_redis_7


def test_growth_is_the_last_third_less_the_first() -> None:
    samples = [Sample(100.0 + i, 10, 5 + i // 10, 700) for i in range(30)]

    assert growth(samples, lambda s: s.resident_mib) == 20
    assert growth(samples, lambda s: s.tasks) == 2
    assert growth(samples, lambda s: s.series) == 0


def test_one_outlier_is_no_growth() -> None:
    samples = [Sample(100.0, 10, 5, 700)] * 29 + [Sample(100.0, 90, 5, 700)]

    assert growth(samples, lambda s: s.descriptors) == 0


def test_a_soak_without_time_is_refused() -> None:
    for text in ("0", "nan", "long"):
        with pytest.raises(SystemExit):
            parse_arguments(PROGRAM, ["--minutes", text])


async def test_the_resources_of_a_service_are_sampled(tmp_path: Path) -> None:
    need_redis_7()
    with running_soak(tmp_path) as soak:
        await soak.run(minutes=0.06)

        for sample in soak.samples:
            assert sample.tasks > 0
            assert sample.descriptors > 10
            assert sample.series > 100
            assert sample.resident_mib > 20
        rows = {row.title: row.value for row in soak.rows(minutes=0.06)}
    assert rows["lost, duplicated, unexpected or not linearizable"] == 0
    assert sum(verdict.acknowledged for verdict in soak.verdicts) > 100
