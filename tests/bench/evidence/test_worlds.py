"""Whether the simulated worlds are as they say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bench.evidence.failures import Bursts, Errors
from bench.evidence.harm import CanaryErrors, Lost
from bench.evidence.operations import ReplacedProxies, Restarts
from bench.evidence.requests import ARMS, BASELINE, CANARY, Requests
from bench.evidence.scenarios import Scenario
from bench.evidence.scrapes import Scraping
from bench.evidence.world import Effect, Shape, World
from rollout.evidence.counts import Arm, CounterSnapshot, Series


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


class Recorded:
    """An effect that keeps all requests, to compare them with what is scraped."""

    def __init__(self) -> None:
        self.requests: list[Requests] = []
        #: What the counters had before, which is far more than was served.
        self.before: dict[Series, int] = {}

    def begin(self, world: World) -> None:
        """Compare from now on."""
        snapshot = world.read()
        self.before = {
            series: counts.requests - self.answered(series, snapshot.sampled[series], world)
            for series, counts in snapshot.counts.items()
        }

    def __call__(self, _: World) -> Effect:
        return self.requests.append

    def answered(self, series: Series, until: float, world: World) -> int:
        """Return how many requests a target had counted at a time, if it never restarted."""
        is_app = world.shape.is_app
        fleet = world.pods if is_app else world.proxies
        names = {fleet.address(index): index for index in range(len(fleet))}
        target = names[series.instance.partition(":")[0]]
        return sum(
            int(
                np.count_nonzero(
                    ((each.pod if is_app else each.proxy) == target)
                    & (each.counted == ARMS.index(series.arm))
                    & (each.done <= until)
                )
            )
            for each in self.requests
        )


@pytest.mark.parametrize("is_app", [False, True])
def test_a_sample_counts_what_its_target_had_answered_at_its_time(is_app: bool) -> None:
    recorded = Recorded()
    world = Scenario("", (Errors(0.1), recorded), Shape(is_app=is_app)).world(rng(1))
    recorded.begin(world)
    world.set_shares(0.3, 0.0)

    for _ in range(10):
        world.sleep(5.0)
        snapshot = world.read()

        assert len({series.arm for series in snapshot.counts}) == 2
        for series, counts in snapshot.counts.items():
            at = snapshot.sampled[series]
            assert world.now - 5.0 - 1e-6 <= at <= world.now
            before = recorded.before.get(series, 0)
            assert counts.requests - before == recorded.answered(series, at, world)
            assert counts.requests >= counts.slow[0] >= counts.slow[-1] >= counts.failures


def test_requests_are_split_as_the_routes_say() -> None:
    recorded = Recorded()
    world = Scenario("", (recorded,), Shape(rps=2000.0, has_baseline=True)).world(rng(2))
    recorded.requests.clear()
    world.set_shares(0.25, 0.25)

    world.sleep(60.0)
    world.catch_up()

    arms = Counter(recorded.requests[-1].arm.tolist())
    assert arms[CANARY] == pytest.approx(30_000, rel=0.05)
    assert arms[BASELINE] == pytest.approx(30_000, rel=0.05)


def test_bursts_have_the_ratio_of_failures_that_they_say() -> None:
    recorded = Recorded()
    world = Scenario("", (Bursts(0.02, 10), recorded), Shape(rps=1000.0)).world(rng(3))
    recorded.requests.clear()

    world.sleep(300.0)
    world.catch_up()

    failed = recorded.requests[-1].failed
    assert failed.mean() == pytest.approx(0.02, rel=0.15)
    assert failed.sum() % 10 == 0


def test_a_release_that_is_gone_is_counted_for_neither_and_one_that_hangs_not_at_all() -> None:
    for as_neither in (True, False):
        world = Scenario("", (Lost(as_neither, 0.5, latest_seconds=0.0),)).world(rng(4))
        world.set_shares(0.5, 0.0)
        world.sleep(30.0)

        arms = {series.arm for series in world.read().counts}

        assert arms == {Arm.STABLE, Arm.NEITHER} if as_neither else arms == {Arm.STABLE}
        assert world.canary_failures == world.canary_requests > 500


def test_counters_of_a_restarted_target_begin_again() -> None:
    world = Scenario("", (Restarts(20.0),), Shape(is_app=True)).world(rng(5))
    fell = 0
    before = world.read()

    for _ in range(60):
        world.sleep(5.0)
        snapshot = world.read()
        for series, counts in snapshot.counts.items():
            if counts.requests < before.counts[series].requests:
                fell += 1
                assert snapshot.started[series] > before.started[series]
        before = snapshot

    assert fell > 10


def test_a_replaced_proxy_leaves_and_a_new_one_appears() -> None:
    world = Scenario("", (ReplacedProxies(15.0),), Shape(proxies=10)).world(rng(6))
    names: set[str] = set()

    for _ in range(60):
        world.sleep(5.0)
        now = {series.instance for series in world.read().counts}
        assert 8 <= len(now) <= 11
        names |= now

    assert len(names) >= 29


def test_two_servers_have_samples_of_different_times_and_two_jobs_have_series_twice() -> None:
    servers = Scenario("", (), Shape(replicas=2)).world(rng(7))
    jobs = Scenario("", (), Shape(jobs=2)).world(rng(7))
    series = Series(Arm.STABLE, "10.1.0.1:15020")

    def sampled(snapshot: CounterSnapshot) -> float:
        return snapshot.sampled[series] % 5.0

    assert len({round(sampled(servers.read()), 6) for _ in range(30)}) == 2
    assert len({round(sampled(jobs.read()), 6) for _ in range(30)}) == 1
    assert len(jobs.read().counts) == 2 * len(servers.read().counts)


def test_missed_and_late_samples_are_as_they_say() -> None:
    shape = Shape(scraping=Scraping(5.0, lag_seconds=15.0, missed=0.3), proxies=10)
    world = Scenario("", (), shape).world(rng(8))
    seen = []

    for _ in range(50):
        world.sleep(5.0)
        snapshot = world.read()
        seen.append(len(snapshot.counts))
        assert all(15.0 <= world.now - at < 20.0 for at in snapshot.sampled.values())

    assert 6 < np.mean(seen) < 8


def test_a_seed_always_gives_the_same_rollout() -> None:
    scenario = Scenario("", (Errors(0.01), CanaryErrors(0.2)))

    assert scenario(rng(9)) == scenario(rng(9)) != scenario(rng(10))


def test_a_bad_release_is_rolled_back_by_the_real_controller_and_a_good_one_is_not() -> None:
    good, bad = Scenario("", ()), Scenario("", (CanaryErrors(1.0),))

    assert good(rng(11)).promoted
    outcome = bad(rng(11))
    assert outcome.rolled_back
    assert outcome.failures == outcome.requests > 0
    assert outcome.harm_seconds is not None
    assert 0 < outcome.harm_seconds < 60
