"""A share that is refused is counted again: chance is forgiven, a wrong share is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from rollout.probing.assertion_run import judge_sample
from rollout.routing.sample_sizes import bounds_for, bounds_of


@pytest.mark.parametrize(
    ("percent", "samples", "fails"),
    [
        (90.0, [(518, 58)], False),
        # An unlucky first sample, as one of 2,000 is.
        (90.0, [(486, 90), *[(518, 58)] * 3], False),
        # A share of 80 %.
        (90.0, [(461, 115)] * 4, True),
        # What should never happen did. That is not chance.
        (100.0, [(72, 1)], True),
    ],
)
async def test_a_refused_share_is_decided_by_all_requests(
    percent: float, samples: list[tuple[int, int]], *, fails: bool
) -> None:
    left = list(samples)

    async def sample(count: int) -> Counter[str]:
        there, elsewhere = left.pop(0)
        assert there + elsewhere == count
        return Counter(there=there, elsewhere=elsewhere)

    def judge(sent: int, counts: Counter[str]) -> Iterable[str]:
        assert sent == sum(counts.values())
        return [] if bounds_of(sent, percent).allow(counts["there"]) else ["another share"]

    failures = await judge_sample([percent], bounds_for(percent).requests, sample, judge)

    assert (bool(failures), left) == (fails, [])
