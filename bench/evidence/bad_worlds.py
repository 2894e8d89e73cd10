"""Worlds in which the new release is bad, and the plans that meet them."""

from __future__ import annotations

from typing import Final

from .failures import Errors
from .harm import CanaryErrors, CanaryLatency, CanarySlower, Flapping, Lost
from .latencies import Latency, Tail
from .operations import ReplacedProxies
from .plans import FLIP, HELD_BACK, SHARES, canary_plan
from .scenarios import DEFAULT_PLAN, Scenario
from .scrapes import Scraping
from .world import Shape

FEW: Final = Errors(0.001)
#: The first step with a canary gives it 10 %.
TEN_PERCENT: Final = canary_plan((0.0, 0.1, 1.0))
#: An hour and a half without a canary, then as long at 10 %.
LONG: Final = canary_plan((0.0, 0.1, 1.0), step_seconds=5400.0, deadline_seconds=6 * 3600.0)
#: The canary has had 10 % for an hour.
AFTER_AN_HOUR: Final = 5400.0 + 3600.0
#: Ten minutes at each step.
SLOW_STEPS: Final = canary_plan(HELD_BACK, step_seconds=600.0, deadline_seconds=4 * 3600.0)

APP: Final = Shape(is_app=True)

#: A minute at 100 %: a plan with a holdback may end as soon as it reaches that.
NO_HOLDBACK: Final = canary_plan(SHARES)

LOST: Final = tuple(
    Scenario(f"{title}, {source}, {when}", (FEW, Lost(as_neither, share, SHARES[2:])), shape, plan)
    for as_neither, title in ((True, "gone"), (False, "hanging"))
    for shape, source in ((Shape(), "istio"), (APP, "app"))
    for share, when, plan in (
        (0.01, "at 1 %", DEFAULT_PLAN),
        (None, "any step from 5 %", NO_HOLDBACK),
        (0.98, "holdback", DEFAULT_PLAN),
        (1.0, "100 %, no holdback", NO_HOLDBACK),
    )
)

FAILING: Final = tuple(
    Scenario(
        f"fails everything, {'app' if is_app else 'istio'}, {interval:g} s, {count}",
        (FEW, CanaryErrors(1.0)),
        Shape(
            pods=(count, count),
            proxies=count,
            is_app=is_app,
            scraping=Scraping(interval),
        ),
        TEN_PERCENT,
        part=0.25,
    )
    for is_app in (False, True)
    for interval in (5.0, 15.0, 60.0)
    for count in (1, 3, 10)
)

REPLACED: Final = (
    Scenario("20 % errors, ten proxies", (FEW, CanaryErrors(0.2)), Shape(proxies=10)),
    Scenario(
        "20 % errors, one of ten proxies replaced every 15 s",
        (FEW, CanaryErrors(0.2), ReplacedProxies()),
        Shape(proxies=10),
    ),
)

ERRORS: Final = (
    Scenario("5 % errors at weight 10", (FEW, CanaryErrors(0.05)), plan=TEN_PERCENT),
    Scenario("100 % errors at weight 10", (FEW, CanaryErrors(1.0)), plan=TEN_PERCENT),
    # In the middle of a step no reading has requests from before and after a change of weights.
    Scenario("5 % errors, later at weight 10", (FEW, CanaryErrors(0.05, 85.0)), plan=TEN_PERCENT),
    Scenario("100 % errors, later at weight 10", (FEW, CanaryErrors(1.0, 85.0)), plan=TEN_PERCENT),
)

REGRESSION: Final = Scenario("0.8 % errors beside 0.1 %", (FEW, CanaryErrors(0.007)))

#: Narrow, so that no bucket bound lies between but those between the medians.
NARROW: Final = 0.005
SHIFTS: Final = (
    Scenario(
        "p50 110 to 490 ms", (FEW, CanaryLatency(0.49, NARROW)), latency=Latency(0.11, NARROW)
    ),
    Scenario("p50 30 to 95 ms", (FEW, CanaryLatency(0.095, NARROW)), latency=Latency(0.03, NARROW)),
    Scenario("1 % of requests 600 ms to 30 s", (FEW, Tail(0.01, 0.6, 30.0))),
)
#: As much as pods differ in many places: ``simulate_slow`` says why nothing is demanded of it.
SLIGHT_SHIFT: Final = Scenario("25 % slower", (FEW, CanarySlower(1.25)))
FLIPS: Final = (
    Scenario("blue/green, then beyond 500 ms", (FEW, CanaryLatency(0.75, 0.1)), plan=FLIP),
    Scenario(
        "beyond 500 ms at 100 % alone, no holdback",
        (FEW, CanaryLatency(0.75, 0.1, from_share=1.0)),
        plan=NO_HOLDBACK,
    ),
    Scenario("beyond 500 ms at the holdback", (FEW, CanaryLatency(0.75, 0.1, from_share=0.98))),
)

LATE: Final = (
    Scenario(
        "5 % errors after an hour", (FEW, CanaryErrors(0.05, AFTER_AN_HOUR)), plan=LONG, part=0.25
    ),
    Scenario(
        "25 % slower after an hour", (FEW, CanarySlower(1.25, AFTER_AN_HOUR)), plan=LONG, part=0.25
    ),
)
FLAPPING: Final = (
    Scenario("half failing for 60 s every 20 min", (FEW, Flapping()), plan=SLOW_STEPS),
    Scenario("the same, default plan", (FEW, Flapping())),
)

#: The fewest requests that a person would call traffic.
MERIT: Final = Scenario("2 % errors, twice the objective", (Errors(0.02),), part=0.5)
HARMLESS: Final = (Scenario("no errors"), Scenario("0.1 % errors", (FEW,)))
IDLE: Final = Scenario("one request in 20 minutes", (FEW,), Shape(rps=1 / 1200), part=0.1)
