"""Bounds that serve Prometheus' classic and native histograms at once. Pure.

A native histogram has exponential buckets: bucket ``i`` of schema 3 ends at ``2 ** (i / 8)``, nine
per cent above the one before. To observe a value twice would cost each request. So values are
counted in *cells*, whose bounds are those of both kinds, by one search; a scrape sums the cells.

Source: "Native Histograms", Prometheus' specification.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Final, NamedTuple

SCHEMA: Final = 3
_PER_DOUBLING: Final = 2**SCHEMA
#: The index of the first bucket: it begins where the zero bucket ends, at 2 ** -20 (a microsecond).
FIRST: Final = -20 * _PER_DOUBLING + 1
#: The index of the last bucket, which ends at 2 ** 14: four hours, or 16,384 operations.
LAST: Final = 14 * _PER_DOUBLING
#: Values up to this one are in the zero bucket.
ZERO_THRESHOLD: Final = 2.0**-20


class Span(NamedTuple):
    """Consecutive buckets with observations: the index of the first one, and their counts."""

    start: int
    counts: list[int]


class Cells:
    """The cells of histograms that share the classic ``bounds``."""

    def __init__(self, bounds: Sequence[float]) -> None:
        native = [ZERO_THRESHOLD, *(2 ** (i / _PER_DOUBLING) for i in range(FIRST, LAST + 1))]
        #: The upper bound of each cell but the last.
        self.bounds: Final = sorted({*native, *bounds})
        #: For each classic bucket, "+Inf" included, the number of cells up to its end.
        self._ends: Final = [*(self.bounds.index(each) + 1 for each in bounds), self.count]
        #: For each cell, the index of its native bucket. FIRST - 1 is the zero bucket. Values
        #: beyond the last bound are in the last bucket.
        self._indexes: Final = [
            min(FIRST - 1 + bisect_left(native, bound), LAST) for bound in self.bounds
        ] + [LAST]

    @property
    def count(self) -> int:
        return len(self.bounds) + 1

    def cumulative(self, counts: Sequence[int]) -> list[int]:
        """Return the cumulative counts of the classic buckets; the last one is of all values."""
        sums: list[int] = []
        start = total = 0
        for end in self._ends:
            total += sum(counts[start:end])
            sums.append(total)
            start = end
        return sums

    def native(self, counts: Sequence[int]) -> tuple[int, list[Span]]:
        """Return the count of the zero bucket, and the others that have observations."""
        zero = 0
        spans: list[Span] = []
        for index, count in self._by_index(counts):
            if index < FIRST:
                zero = count
            elif count and spans and index == spans[-1].start + len(spans[-1].counts):
                spans[-1].counts.append(count)
            elif count:
                spans.append(Span(index, [count]))
        return zero, spans

    def _by_index(self, counts: Sequence[int]) -> Iterator[tuple[int, int]]:
        pairs = zip(self._indexes, counts, strict=True)
        for index, cells in groupby(pairs, key=lambda pair: pair[0]):
            yield index, sum(count for _, count in cells)


@cache
def cells_of(bounds: tuple[float, ...]) -> Cells:
    """Return the cells for these classic bounds, which all histograms with them share."""
    return Cells(bounds)
