"""Worlds in which the new release is as good as the old one, by the part that simulates them."""

from __future__ import annotations

from typing import Final

from rollout.evidence.objective import Objective

from .failures import Bursts, Errors, PodOutages, SharedOutage, StickyUsers
from .latencies import ColdPods, PodSpeeds, SharedSlowness
from .operations import (
    Autoscaler,
    ChangedByHand,
    DriftingShare,
    ReplacedProxies,
    Restarts,
    RunnersClock,
)
from .plans import FLIP, HELD_BACK, SHARES, canary_plan
from .scenarios import Scenario
from .scrapes import Scraping
from .world import Shape

FEW: Final = Errors(0.001)
#: For releases that fail often: an objective that they meet.
LENIENT: Final = canary_plan(HELD_BACK, objective=Objective(error_ratio=0.05))
SLOW_SCRAPES: Final = Scraping(60.0)
THREE: Final = Shape(pods=(3, 3))

GOOD_WORLDS: Final[dict[str, tuple[Scenario, ...]]] = {
    "independent": (
        Scenario("0.1 % errors", (FEW,)),
        Scenario("0.1 % errors, app", (FEW,), Shape(is_app=True)),
        Scenario("1 % errors", (Errors(0.01),), plan=LENIENT),
        Scenario("0.1 % errors, 60 s scrapes", (FEW,), Shape(scraping=SLOW_SCRAPES)),
        Scenario(
            "0.1 % errors, app, 60 s scrapes", (FEW,), Shape(is_app=True, scraping=SLOW_SCRAPES)
        ),
    ),
    "clusters": tuple(
        Scenario(f"failures in clusters of {times}", (Bursts(0.002, times),))
        for times in (3, 10, 20)
    ),
    "retries": (
        Scenario("each failure counted 3 times, 0.1 %", (Bursts(0.001, 3, 0.2),)),
        Scenario("each failure counted 3 times, 1 %", (Bursts(0.01, 3, 0.2),), plan=LENIENT),
    ),
    "users": (Scenario("500 sticky users, 2 % fail 30 %", (StickyUsers(),), plan=LENIENT),),
    "pod-outages": tuple(
        Scenario(f"each pod down 2 s, {times} an hour", (FEW, PodOutages(times)), THREE)
        for times in (1, 4)
    ),
    "speeds": (
        Scenario("pods differ by 10 % in speed, 10+2", (FEW, PodSpeeds(0.1)), Shape(pods=(10, 2))),
        Scenario("pods differ by 20 % in speed, 10+2", (FEW, PodSpeeds(0.2)), Shape(pods=(10, 2))),
        Scenario("pods differ by 20 % in speed, 3+1", (FEW, PodSpeeds(0.2))),
    ),
    "cold": (
        Scenario("new pods 2x slower for 60 s", (FEW, ColdPods(2.0, 60.0))),
        Scenario("new pods 3x slower for 60 s", (FEW, ColdPods(3.0, 60.0))),
        Scenario("new pods 5x slower for 100 requests", (FEW, ColdPods(5.0, requests=100))),
        Scenario("new pods 3x slower for 60 s, blue/green", (FEW, ColdPods(3.0, 60.0)), plan=FLIP),
    ),
    "autoscaler": (
        Scenario("autoscaled pods 4x slower for 30 s", (FEW, Autoscaler(), ColdPods(4.0, 30.0))),
    ),
    "outages": (
        Scenario("outage of both at any time", (FEW, SharedOutage())),
        Scenario("outage of half of both at any time", (FEW, SharedOutage(ratio=0.5))),
        Scenario("outage at the holdback", (FEW, SharedOutage(from_share=0.98))),
        Scenario(
            "outage at 100 %, no holdback",
            (FEW, SharedOutage(from_share=1.0)),
            plan=canary_plan(SHARES),
        ),
        Scenario(
            "outage after the flip, blue/green", (FEW, SharedOutage(from_share=1.0)), plan=FLIP
        ),
        *(
            Scenario(
                f"outage of both at any time, app, {seconds:g} s scrapes",
                (FEW, SharedOutage()),
                Shape(is_app=True, scraping=Scraping(seconds)),
            )
            for seconds in (5.0, 15.0, 60.0)
        ),
    ),
    "slowness": tuple(
        Scenario(
            f"what both share {factor:g}x slower for up to 20 s, {title}",
            (FEW, SharedSlowness(factor)),
            plan=plan,
        )
        for factor in (5.0, 20.0)
        for title, plan in (("100 %, no holdback", canary_plan(SHARES)), ("blue/green", FLIP))
    )
    + tuple(
        Scenario(
            f"what both share 20x slower, blue/green, {source}, {seconds:g} s scrapes",
            (FEW, SharedSlowness(20.0)),
            Shape(is_app=source == "app", scraping=Scraping(seconds)),
            plan=FLIP,
        )
        for source in ("istio", "app")
        for seconds in (15.0, 30.0)
    ),
    "duplicates": tuple(
        Scenario(f"each series scraped {times} times", (FEW,), Shape(jobs=times))
        for times in (2, 3)
    ),
    "replicas": (Scenario("two Prometheus behind one address", (FEW,), Shape(replicas=2)),),
    "clocks": (
        Scenario("runner's clock 45 s ahead", (FEW, RunnersClock(45.0))),
        Scenario("runner's clock 20 s behind", (FEW, RunnersClock(-20.0))),
        Scenario("runner's clock jumps an hour", (FEW, RunnersClock(3600.0, since=200.0))),
    ),
    "by-hand": (Scenario("weights changed by hand for 60 s", (FEW, ChangedByHand())),),
    "counters": (
        Scenario(
            "missed scrapes, 15 s late, an outage",
            (FEW, SharedOutage()),
            Shape(scraping=Scraping(lag_seconds=15.0, missed=0.1)),
        ),
        Scenario(
            "restarts, missed scrapes, app, an outage",
            (FEW, Restarts(), SharedOutage()),
            Shape(is_app=True, scraping=Scraping(missed=0.1)),
        ),
        Scenario(
            "one of ten proxies replaced every 15 s",
            (FEW, ReplacedProxies()),
            Shape(proxies=10),
        ),
    ),
    "skew": (Scenario("sticky clients: the share grows threefold", (FEW, DriftingShare())),),
}
