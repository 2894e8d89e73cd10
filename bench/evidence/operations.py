"""What else happens in production: instances come and go, people and clocks change things."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .requests import BASELINE, CANARY, STABLE, Requests
from .world import EPOCH, Effect, World


def change_nothing(_: Requests) -> None:
    """Leave requests as they are: the effect of what happens elsewhere."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """The canary and the baseline get pods as their requests rise, some time later.

    ``pods`` are as many as all requests need.
    """

    pods: int = 6
    seconds: tuple[float, float] = (15.0, 30.0)

    def __call__(self, world: World) -> Effect:
        ordered = {CANARY: world.shape.pods[1], BASELINE: world.shape.pods[1]}

        def scale(share: float) -> None:
            for arm, own in ((CANARY, share), (BASELINE, world.shares[1])):
                while ordered[arm] < math.ceil(own * self.pods) and own:
                    ordered[arm] += 1
                    at = world.now + world.rng.uniform(*self.seconds)
                    world.at(at, lambda arm=arm: _add(world, arm))  # type: ignore[misc]

        world.on_share.append(scale)
        return change_nothing


def _add(world: World, arm: int) -> None:
    world.pods.add(world.served_until, arm)


@dataclass(frozen=True, slots=True)
class ReplacedProxies:
    """Every some seconds another proxy is replaced by a new one."""

    every_seconds: float = 15.0

    def __call__(self, world: World) -> Effect:
        def replace() -> None:
            now = world.served_until
            world.scrape()
            oldest = int(world.proxies.live(STABLE)[0])
            world.proxies.remove(oldest, now)
            world.proxies.add(now)
            world.at(now + self.every_seconds, replace)

        world.at(EPOCH + world.rng.uniform(0, self.every_seconds), replace)
        return change_nothing


@dataclass(frozen=True, slots=True)
class Restarts:
    """Each instance that is scraped restarts at random: its counters begin at zero again."""

    every_seconds: float = 200.0

    def __call__(self, world: World) -> Effect:
        fleet = world.pods if world.shape.is_app else world.proxies

        def restart() -> None:
            world.scrape()
            index = int(world.rng.integers(len(fleet)))
            fleet.restart(index, world.served_until)
            schedule(world.served_until)

        def schedule(now: float) -> None:
            mean = self.every_seconds / len(fleet)
            world.at(now + float(world.rng.exponential(mean)), restart)

        schedule(EPOCH)
        return change_nothing


@dataclass(frozen=True, slots=True)
class ChangedByHand:
    """A person changes the weights for a while during a step, and puts them back."""

    seconds: float = 60.0
    factor: float = 3.0

    def __call__(self, world: World) -> Effect:
        def change() -> None:
            before = world.shares
            if not 0 < before[0] < 1:
                world.at(world.served_until + 20.0, change)
                return
            changed = min(0.9, before[0] * self.factor), before[1] / self.factor
            world.shares = changed

            def put_back() -> None:
                # Not if the runner has set others meanwhile.
                if world.shares == changed:
                    world.shares = before

            world.at(world.served_until + self.seconds, put_back)

        world.at(EPOCH + world.rng.uniform(90, 350), change)
        return change_nothing


@dataclass(frozen=True, slots=True)
class RunnersClock:
    """The runner's clock is wrong by ``seconds``, from ``since`` seconds after the start on."""

    seconds: float
    since: float = -math.inf

    def __call__(self, world: World) -> Effect:
        world.clock_error = lambda now: self.seconds if now >= EPOCH + self.since else 0.0
        return change_nothing


@dataclass(frozen=True, slots=True)
class DriftingShare:
    """Sticky clients let the canary's share grow to three times what the routes say."""

    def __call__(self, world: World) -> Effect:
        seconds = world.rng.uniform(60, 900)

        def drift(share: float) -> float:
            age = max(0.0, world.served_until - EPOCH)
            return min(share * min(3.0, 1 + 2 * age / seconds), max(share, 0.95))

        world.actual_share = drift
        return change_nothing
