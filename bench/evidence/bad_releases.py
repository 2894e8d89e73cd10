"""Bad releases: whether they are rolled back, how soon, and what they cost until then."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from statistics import NormalDist, median, quantiles

from bench.frame.rows import Limit, Row, at_most, percentage

from . import limits
from .bad_worlds import (
    ERRORS,
    FAILING,
    FLAPPING,
    FLIPS,
    HARMLESS,
    IDLE,
    LATE,
    LOST,
    MERIT,
    REGRESSION,
    REPLACED,
    SHIFTS,
    SLIGHT_SHIFT,
)
from .beside import rolled_back_by_peers
from .confidence import bound_row
from .peers import PEERS
from .rollouts import Outcome
from .scenarios import Scenario, Sizes, simulate_all


def simulate_lost(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    for scenario, outcomes, beside in _beside_peers(executor, sizes, sizes.chosen(LOST)):
        allowed = (
            limits.SILENCE_SCRAPES * scenario.shape.scraping.interval_seconds
            + limits.SILENCE_SECONDS
        )
        # A release that is promoted before it falls silent does no harm in its rollout.
        lost = [each for each in outcomes if each.harm_seconds is not None]
        if not lost and not sizes.is_full:
            continue
        # Where none fell silent, nothing is shown.
        slowest = max((_seconds_until_out(each) for each in lost), default=float("inf"))
        limit = None if scenario.title in limits.NOT_COVERED else at_most(allowed)
        row = Row(f"{scenario.title}: out, latest", slowest, "s", limit)
        yield replace(row, note=_cost(lost) + beside)


def simulate_failing(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    for scenario, outcomes in _simulated(executor, sizes, sizes.chosen(FAILING)):
        interval = scenario.shape.scraping.interval_seconds
        slowest = max(_seconds_until_out(each) for each in outcomes) / interval
        title = f"{scenario.title}: out, latest"
        yield Row(title, slowest, "scrapes", limits.SCRAPES_UNTIL_OUT, _cost(outcomes))


def simulate_replaced(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    (_, kept), (scenario, replaced) = _simulated(executor, sizes, REPLACED)
    times = [median(map(_seconds_until_out, outcomes)) for outcomes in (replaced, kept)]
    note = f"{times[0]:.0f} s, and {times[1]:.0f} s without; {_cost(replaced)}"
    title = f"{scenario.title}: time until out"
    yield Row(title, times[0] / times[1], "times", limits.REPLACED_PROXIES, note)


def simulate_errors(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    demanded = (limits.FAILED_AT_5_PERCENT, limits.FAILED_AT_100_PERCENT) * 2
    found = _beside_peers(executor, sizes, ERRORS)
    for (scenario, outcomes, beside), limit in zip(found, demanded, strict=True):
        failures = median(each.failures for each in outcomes)
        title = f"{scenario.title}: failed requests, median"
        gross = at_most(2 * limit.bound)
        yield Row(title, failures, "requests", sizes.limit(limit, gross), _cost(outcomes) + beside)


def simulate_regression(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    yield from _caught(executor, sizes, [REGRESSION], limits.REGRESSIONS_CAUGHT)


def simulate_slow(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    yield from _caught(executor, sizes, SHIFTS, limits.SLOW_CAUGHT)
    if sizes.is_full:
        yield from _caught(executor, sizes, [SLIGHT_SHIFT], None)
        # No test that rolls back half of the releases that are a quarter slower can keep 1 % where
        # the speed of pods differs by 20 %: these pods are a quarter slower as often as this.
        for pods, canary_pods in ((3, 1), (10, 2)):
            deviation = 0.2 * math.sqrt(1 / pods + 1 / canary_pods)
            chance = 1 - NormalDist().cdf(math.log(1.25) / deviation)
            title = f"pods differ by 20 %, {pods}+{canary_pods}: the canary's 25 % slower by chance"
            yield Row(title, chance * 100, "%")


def simulate_flips(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    yield from _caught(executor, sizes, FLIPS, limits.SLOW_CAUGHT)


def simulate_late(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    # Hours of a rollout take seconds each.
    late = LATE if sizes.is_full else LATE[:1]
    for scenario, outcomes, beside in _beside_peers(executor, sizes, late):
        seconds = median(map(_seconds_until_out, outcomes))
        title = f"{scenario.title}: out, median"
        yield Row(title, seconds, "s", limits.LATE_SECONDS, _cost(outcomes) + beside)


def simulate_flapping(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    found = _beside_peers(executor, sizes, FLAPPING)
    # With steps of a minute most rollouts have ended before it fails for the first time.
    for (scenario, outcomes, beside), limit in zip(
        found, (limits.FLAPPING_PROMOTED, None), strict=True
    ):
        promoted = sum(each.promoted for each in outcomes)
        row = percentage(f"{scenario.title}: promoted", promoted, len(outcomes), limit)
        yield replace(row, note=f"{row.note}; {_cost(outcomes)}{beside}")


def simulate_promotion(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    for scenario, outcomes in _simulated(executor, sizes, HARMLESS):
        promoted = [each.seconds for each in outcomes if each.promoted]
        title = f"{scenario.title}: promoted"
        limit = sizes.limit(limits.CLEAN_PROMOTED, limits.MOST)
        yield percentage(title, len(promoted), len(outcomes), limit)
        times = median(promoted or [float("inf")]) / limits.TODAY_SECONDS
        title = f"{scenario.title}: time until promoted, in today's times"
        yield Row(title, times, "times", limits.TIMES_TODAY)
    (_, bad), (scenario, idle) = _simulated(executor, sizes, [MERIT, IDLE])
    wrong = sum(each.promoted for each in bad)
    if sizes.is_full:
        bound = limits.FALSE_PROMOTIONS_BOUND
        yield bound_row(f"{MERIT.title}: promoted", wrong, len(bad), bound)
    inconclusive = sum(each.inconclusive for each in idle)
    title = f"{scenario.title}: inconclusive"
    yield percentage(title, inconclusive, len(idle), limits.ALL)


def _simulated(
    executor: Executor, sizes: Sizes, scenarios: Sequence[Scenario]
) -> Iterator[tuple[Scenario, list[Outcome]]]:
    return zip(scenarios, simulate_all(executor, sizes, scenarios), strict=True)


def _beside_peers(
    executor: Executor, sizes: Sizes, scenarios: Sequence[Scenario]
) -> Iterator[tuple[Scenario, list[Outcome], str]]:
    """Return also what the peers did in the same worlds."""
    found = simulate_all(executor, sizes, scenarios)
    peers = rolled_back_by_peers(executor, sizes, [(each, tuple(PEERS)) for each in scenarios])
    return zip(scenarios, found, peers, strict=True)


def _caught(
    executor: Executor, sizes: Sizes, scenarios: Sequence[Scenario], demanded: Limit | None
) -> Iterator[Row]:
    for scenario, outcomes, beside in _beside_peers(executor, sizes, scenarios):
        caught = sum(each.rolled_back for each in outcomes)
        limit = demanded and sizes.limit(demanded, limits.MOST)
        row = percentage(f"{scenario.title}: rolled back", caught, len(outcomes), limit)
        yield replace(row, note=f"{row.note}; {_cost(outcomes)}{beside}")


def _seconds_until_out(outcome: Outcome) -> float:
    """Return the time from the first harm until the canary had no requests, infinity if it kept."""
    if outcome.promoted or outcome.harm_seconds is None:
        return float("inf")
    return outcome.harm_seconds


def _cost(outcomes: Sequence[Outcome]) -> str:
    """Return how many were caught, how soon, and how many requests failed until then."""
    out = [each for each in outcomes if not each.promoted and each.harm_seconds is not None]
    text = f"{len(out)} of {len(outcomes)} out"
    if len(out) > 1:
        seconds = [each.harm_seconds or 0.0 for each in out]
        late = quantiles(seconds, n=20, method="inclusive")[-1]
        text += f", after {median(seconds):.0f} s, 95 % by {late:.0f} s"
        text += f", {median(each.failures for each in out):,.0f} failed"
    return text
