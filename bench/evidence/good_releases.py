"""Good releases: how often each kind of world makes them look bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

from bench.frame.rows import Row, percentage

from . import limits
from .beside import rolled_back_by_peers
from .confidence import bound_row, upper_bound
from .peers import PEERS
from .rollouts import Outcome
from .scenarios import Scenario, Sizes, simulate_all

#: Rollouts of a part in the short form, with a baseline and without, or more.
SHORT_ROLLOUTS: Final = 5


@dataclass(frozen=True)
class GoodReleases:
    """The rows of one part: each world with a baseline, and without."""

    scenarios: Sequence[Scenario]

    def __call__(self, sizes: Sizes, executor: Executor) -> Iterator[Row]:
        if not sizes.is_full:
            # Its rows are of all worlds together: of many worlds, each needs fewer rollouts.
            fewer = -(-SHORT_ROLLOUTS // len(self.scenarios))
            sizes = replace(sizes, rollouts=min(sizes.rollouts, fewer))
        both = sizes.chosen(
            [
                variant
                for scenario in self.scenarios
                for variant in (scenario, with_baseline(scenario))
            ]
        )
        found = simulate_all(executor, sizes, both)
        if not sizes.is_full:
            yield from _short_form(both, found)
            return
        # Of the peers, only Kayenta knows a baseline.
        peers = rolled_back_by_peers(
            executor,
            sizes,
            [(each, ("Kayenta",) if each.shape.has_baseline else tuple(PEERS)) for each in both],
        )
        for scenario, outcomes, beside in zip(both, found, peers, strict=True):
            yield from _rows(scenario, outcomes, beside)


def with_baseline(scenario: Scenario) -> Scenario:
    return replace(
        scenario,
        title=f"{scenario.title}, baseline",
        shape=replace(scenario.shape, has_baseline=True),
    )


def _rows(scenario: Scenario, outcomes: Sequence[Outcome], beside: str) -> Iterator[Row]:
    title, total = scenario.title, len(outcomes)
    wrong = sum(outcome.rolled_back for outcome in outcomes)
    is_covered = title not in limits.NOT_COVERED
    row = percentage(
        f"{title}: rolled back", wrong, total, limits.FALSE_ROLLBACKS if is_covered else None
    )
    yield replace(row, note=row.note + _reasons(outcomes) + beside)
    bound = limits.FALSE_ROLLBACKS_BOUND
    # With a few rollouts no result keeps the limit of the bound.
    if upper_bound(0, total) * 100 <= bound.bound:
        yield bound_row(f"{title}: rolled back", wrong, total, bound if is_covered else None)
    inconclusive = sum(outcome.inconclusive for outcome in outcomes)
    limit = None if _may_be_inconclusive(scenario) else limits.INCONCLUSIVE
    yield percentage(f"{title}: inconclusive", inconclusive, total, limit)


def _short_form(scenarios: Sequence[Scenario], found: Sequence[Sequence[Outcome]]) -> Iterator[Row]:
    """Return rows for all worlds together, with a baseline and without."""
    for has_baseline, title in ((False, "all"), (True, "all, baseline")):
        covered = [
            (scenario, outcomes)
            for scenario, outcomes in zip(scenarios, found, strict=True)
            if scenario.shape.has_baseline == has_baseline
            and scenario.title not in limits.NOT_COVERED
        ]
        outcomes = [outcome for _, each in covered for outcome in each]
        wrong = sum(outcome.rolled_back for outcome in outcomes)
        row = percentage(f"{title}: rolled back", wrong, len(outcomes), limits.GROSS_ROLLBACKS)
        yield replace(row, note=row.note + _reasons(outcomes))
        conclusive = [
            outcome
            for scenario, each in covered
            if not _may_be_inconclusive(scenario)
            for outcome in each
        ]
        inconclusive = sum(outcome.inconclusive for outcome in conclusive)
        limit = limits.GROSS_INCONCLUSIVE
        yield percentage(f"{title}: inconclusive", inconclusive, len(conclusive), limit)


def _reasons(outcomes: Sequence[Outcome]) -> str:
    reasons = ", ".join(sorted({outcome.reason for outcome in outcomes if outcome.rolled_back}))
    return f" ({reasons})" if reasons else ""


def _may_be_inconclusive(scenario: Scenario) -> bool:
    return scenario.title.removesuffix(", baseline") in limits.MAY_BE_INCONCLUSIVE
