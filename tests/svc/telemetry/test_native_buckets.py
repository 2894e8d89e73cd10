"""One search counts a value for a classic and for a native histogram."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.telemetry.metrics import (
    BATCH_BOUNDS,
    LAG_BOUNDS,
    REQUEST_BOUNDS,
    ROUND_TRIP_BOUNDS,
    WAIT_BOUNDS,
)
from svc.telemetry.native_buckets import FIRST, LAST, SCHEMA, ZERO_THRESHOLD, Cells

ALL: Final = (REQUEST_BOUNDS, ROUND_TRIP_BOUNDS, WAIT_BOUNDS, LAG_BOUNDS, BATCH_BOUNDS)
PER_DOUBLING: Final = 2**SCHEMA
bounds_of_metrics = st.sampled_from([tuple(map(float, bounds)) for bounds in ALL])
values = st.lists(
    st.one_of(
        st.floats(0, 2.0**14),
        st.floats(0, 1),
        st.sampled_from([float(bound) for bounds in ALL for bound in bounds]),
        st.integers(-20, 14).map(lambda n: 2.0**n),
    ),
    max_size=60,
)


def counted(cells: Cells, observed: list[float]) -> list[int]:
    counts = [0] * cells.count
    for value in observed:
        counts[bisect_left(cells.bounds, value)] += 1
    return counts


@given(bounds=bounds_of_metrics, observed=values)
def test_classic_buckets_count_what_is_up_to_their_bound(
    bounds: tuple[float, ...], observed: list[float]
) -> None:
    cells = Cells(bounds)

    sums = cells.cumulative(counted(cells, observed))

    assert sums == [sum(v <= bound for v in observed) for bound in (*bounds, math.inf)]


@given(bounds=bounds_of_metrics, observed=values)
def test_native_buckets_count_what_is_within_their_bounds(
    bounds: tuple[float, ...], observed: list[float]
) -> None:
    cells = Cells(bounds)

    zero, spans = cells.native(counted(cells, observed))

    assert zero == sum(value <= ZERO_THRESHOLD for value in observed)
    seen = {s.start + i: count for s in spans for i, count in enumerate(s.counts)}
    expected = Counter(index_of(value) for value in observed if value > ZERO_THRESHOLD)
    assert seen == expected
    for before, after in pairwise(spans):
        assert after.start > before.start + len(before.counts)


def index_of(value: float) -> int:
    """Return the bucket by its definition: 2 ** ((i - 1) / 8) < value <= 2 ** (i / 8)."""
    near = math.ceil(math.log2(value) * PER_DOUBLING)
    (index,) = [
        i
        for i in (near - 1, near, near + 1)
        if 2 ** ((i - 1) / PER_DOUBLING) < value <= 2 ** (i / PER_DOUBLING)
    ]
    return index


@pytest.mark.parametrize("value", [20_000.0, math.inf])
def test_what_is_beyond_the_last_bound_is_in_the_last_bucket(value: float) -> None:
    cells = Cells(REQUEST_BOUNDS)

    zero, (span,) = cells.native(counted(cells, [value]))

    assert (zero, span.start, span.counts) == (0, LAST, [1])


def test_the_first_bucket_follows_the_zero_bucket() -> None:
    cells = Cells(REQUEST_BOUNDS)

    _, (span,) = cells.native(counted(cells, [math.nextafter(ZERO_THRESHOLD, 1)]))

    assert span.start == FIRST
