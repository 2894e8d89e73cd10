"""Whether bounds of ratios are right."""

from __future__ import annotations

import pytest

from bench.evidence.confidence import upper_bound


@pytest.mark.parametrize(
    ("part", "whole", "bound"),
    # The first is the rule of three, -ln(0.05)/n; the others from tables of the beta quantile.
    [(0, 200, 0.014867), (1, 10, 0.394163), (5, 10, 0.777559), (10, 10, 1.0)],
)
def test_a_bound_is_that_of_clopper_and_pearson(part: int, whole: int, bound: float) -> None:
    assert upper_bound(part, whole) == pytest.approx(bound, abs=1e-5)
