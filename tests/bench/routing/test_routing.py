"""The short form of ``make routing``: a few generated pairs, each change at least once."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.routing.completeness import compare_pairs
from bench.routing.generated import CHANGES, pair
from tests.rollout.envoy.envoy_binary import need_envoy

SEEDS: Final = range(20, 36)


def test_every_changed_class_has_a_witness_and_none_is_false() -> None:
    need_envoy()
    assert {pair(seed)[2] for seed in SEEDS} >= set(CHANGES) - {"nothing"}

    found = asyncio.run(compare_pairs(SEEDS, 30))

    assert found.missing == ()
    assert found.false == ()
    assert found.changed > 5
    assert found.random_differences > 20
