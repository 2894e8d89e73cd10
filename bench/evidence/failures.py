"""How requests to equally good releases fail: alone, in bursts, by user, by pod, or all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .requests import Requests
from .world import EPOCH, Effect, World

#: The longest rollout of these worlds, in seconds.
LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Errors:
    """Each request fails by itself, with this probability."""

    ratio: float

    def __call__(self, world: World) -> Effect:
        def fail(requests: Requests) -> None:
            requests.failed |= world.rng.random(len(requests)) < self.ratio

        return fail


@dataclass(frozen=True, slots=True)
class Bursts:
    """Failures come ``times`` together: one client repeats one request on one connection.

    ``ratio`` is that of all failures to all requests. The repetitions follow within ``seconds``.
    """

    ratio: float
    times: int
    seconds: float = 1.0

    def __call__(self, world: World) -> Effect:
        def fail(requests: Requests) -> None:
            first = np.flatnonzero(
                world.rng.random(len(requests)) < self.ratio / self.times / (1 - self.ratio)
            )
            requests.failed[first] = True
            more = requests.chosen(np.repeat(first, self.times - 1))
            more.start += world.rng.random(len(more)) * self.seconds
            requests.append(more)

        return fail


@dataclass(frozen=True, slots=True)
class StickyUsers:
    """Users keep to a release as their hash says. A few of them fail often, with any release."""

    users: int = 500
    unlucky: float = 0.02
    ratio: float = 0.3

    def __call__(self, world: World) -> Effect:
        rng = world.rng
        hashes = rng.random(self.users)
        unlucky = np.arange(self.users) < round(self.unlucky * self.users)

        def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
            user = rng.integers(self.users, size=count)
            return hashes[user], user

        world.clients = draw

        def fail(requests: Requests) -> None:
            requests.failed |= unlucky[requests.user] & (rng.random(len(requests)) < self.ratio)

        return fail


@dataclass(frozen=True, slots=True)
class PodOutages:
    """Each pod fails everything for some seconds, at random times of its own."""

    per_hour: float
    seconds: float = 2.0

    def __call__(self, world: World) -> Effect:
        outages: dict[int, np.ndarray] = {}

        def draw() -> np.ndarray:
            count = world.rng.poisson(self.per_hour * LONGEST / 3600)
            return EPOCH + world.rng.random(count) * LONGEST

        def fail(requests: Requests) -> None:
            first, last = requests.start.min(), requests.start.max()
            for pod in np.unique(requests.pod).tolist():
                if pod not in outages:
                    outages[pod] = draw()
                for at in outages[pod].tolist():
                    if at <= last and at + self.seconds > first:
                        within = (requests.start >= at) & (requests.start < at + self.seconds)
                        requests.failed |= within & (requests.pod == pod)

        return fail


@dataclass(frozen=True, slots=True)
class SharedOutage:
    """What both releases share is down once, for one of ``seconds``; a ``ratio`` of requests fails.

    It begins at any time of a rollout, or soon after the canary's share has reached ``from_share``.
    """

    seconds: tuple[float, ...] = (10.0, 30.0, 60.0)
    ratio: float = 1.0
    from_share: float | None = None

    def __call__(self, world: World) -> Effect:
        rng = world.rng
        length = float(rng.choice(self.seconds))
        begin = EPOCH + rng.uniform(0, 480)
        down = [] if self.from_share else [(begin, begin + length)]

        def start(share: float) -> None:
            if self.from_share and share >= self.from_share and not down:
                begin = world.now + rng.uniform(0, 45)
                down.append((begin, begin + length))

        world.on_share.append(start)

        def fail(requests: Requests) -> None:
            for since, until in down:
                within = (requests.start >= since) & (requests.start < until)
                if within.any():
                    requests.failed |= within & (rng.random(len(requests)) < self.ratio)

        return fail
