"""Bins keep all samples, never mix desired shares, and have enough requests."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from rollout.evidence.counts import Counts
from rollout.report.binning import bin_samples
from rollout.report.samples import ArmSample, Sample

SECONDS = st.lists(st.tuples(st.sampled_from([0.1, 0.5, None]), st.integers(0, 9)), max_size=40)


@given(SECONDS, st.integers(1, 5), st.integers(0, 20))
def test_bins_are_long_enough_or_the_only_one_of_their_share(
    seconds: list[tuple[float | None, int]], length: int, min_requests: int
) -> None:
    samples = [
        Sample(float(n), share, ArmSample(Counts(1, 0)), ArmSample(Counts(requests, 0)))
        for n, (share, requests) in enumerate(seconds)
    ]

    bins = bin_samples(samples, seconds=length, min_requests=min_requests, arms=("canary",))

    assert [each for group in bins for each in group.samples] == samples
    for _, same_share in groupby(bins, key=lambda group: group.samples[0].share):
        groups = list(same_share)
        full = [
            each.until - each.since >= length and each.counts("canary").requests >= min_requests
            for each in groups
        ]
        assert all(full) or len(groups) == 1
        assert all(len({sample.share for sample in each.samples}) == 1 for each in groups)
