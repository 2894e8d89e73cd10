"""Keys are drawn by Zipf's law."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from loadtest.users.run_state import Zipf

DRAWS = 100_000


def chi_square(counts: Counter[int], probabilities: Sequence[float]) -> float:
    return sum((counts[r] - DRAWS * p) ** 2 / (DRAWS * p) for r, p in enumerate(probabilities))


def test_ranks_are_drawn_as_often_as_the_law_says() -> None:
    zipf, other, rng = Zipf(200), Zipf(200, exponent=1.05), random.Random(7)

    counts = Counter(zipf.draw(rng) for _ in range(DRAWS))

    # Chi-square with 199 degrees of freedom exceeds 274 once in 5000 times.
    assert chi_square(counts, [zipf.probability(rank) for rank in range(200)]) < 274
    assert chi_square(counts, [other.probability(rank) for rank in range(200)]) > 274
    assert counts.keys() <= set(range(200))


def test_the_law_is_that_of_ycsb() -> None:
    zipf = Zipf(1000)

    chances = [zipf.probability(rank) for rank in range(1000)]

    assert sum(chances) == pytest.approx(1)
    assert chances[0] / chances[9] == pytest.approx(10**0.99)
    assert sum(chances[:10]) == pytest.approx(0.38, abs=0.01)


def test_there_must_be_a_rank() -> None:
    with pytest.raises(ValueError, match="rank"):
        Zipf(0)
