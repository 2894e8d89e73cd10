"""How long requests to equally good releases take: by chance, by pod, and by the pod's age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .requests import CANARY, STABLE, Requests
from .world import Effect, World


@dataclass(frozen=True, slots=True)
class Latency:
    """Lognormal service times; ``spread`` is the standard deviation of their logarithm."""

    median_seconds: float = 0.02
    spread: float = 0.9

    def __call__(self, world: World) -> Effect:
        def take_time(requests: Requests) -> None:
            normal = world.rng.standard_normal(len(requests))
            requests.seconds = self.median_seconds * np.exp(self.spread * normal)

        return take_time


@dataclass(frozen=True, slots=True)
class Tail:
    """A ratio of the requests takes about ``seconds``, those to the canary ``canary_seconds``."""

    ratio: float
    seconds: float
    canary_seconds: float

    def __call__(self, world: World) -> Effect:
        def take_time(requests: Requests) -> None:
            chosen = world.rng.random(len(requests)) < self.ratio
            factor = np.exp(0.05 * world.rng.standard_normal(len(requests)))
            canary = requests.arm == CANARY
            if canary.any():
                world.begin_harm(float(requests.start[canary][0]))
            took = np.where(canary, self.canary_seconds, self.seconds) * factor
            requests.seconds = np.where(chosen, took, requests.seconds)

        return take_time


@dataclass(frozen=True, slots=True)
class PodSpeeds:
    """Pods differ in speed, whatever they run; ``spread`` as above."""

    spread: float

    def __call__(self, world: World) -> Effect:
        factors = np.zeros(0)

        def slow_down(requests: Requests) -> None:
            nonlocal factors
            if more := len(world.pods) - len(factors):
                drawn = np.exp(self.spread * world.rng.standard_normal(more))
                factors = np.concatenate((factors, drawn))
            requests.seconds *= factors[requests.pod]

        return slow_down


@dataclass(frozen=True, slots=True)
class SharedSlowness:
    """What both releases share is slow by a factor once, for one of ``seconds``.

    It begins soon after the canary's share has reached ``from_share``.
    """

    factor: float
    seconds: tuple[float, ...] = (2.0, 5.0, 20.0)
    from_share: float = 1.0

    def __call__(self, world: World) -> Effect:
        rng = world.rng
        slow: list[tuple[float, float]] = []

        def start(share: float) -> None:
            if share >= self.from_share and not slow:
                begin = world.now + rng.uniform(0, 45)
                slow.append((begin, begin + float(rng.choice(self.seconds))))

        world.on_share.append(start)

        def slow_down(requests: Requests) -> None:
            for since, until in slow:
                within = (requests.start >= since) & (requests.start < until)
                requests.seconds = np.where(within, self.factor, 1.0) * requests.seconds

        return slow_down


@dataclass(frozen=True, slots=True)
class ColdPods:
    """New pods are slower by a factor, for some seconds from their first request, or some requests.

    The pods of the stable release are warm.
    """

    factor: float
    seconds: float = 0.0
    requests: int = 0

    def __call__(self, world: World) -> Effect:
        pods = world.pods

        def slow_down(requests: Requests) -> None:
            for pod in np.unique(requests.pod[requests.arm != STABLE]).tolist():
                mine = np.flatnonzero(requests.pod == pod)
                since = min(pods.first_request[pod], requests.start[mine[0]])
                is_cold = requests.start[mine] < since + self.seconds
                is_cold |= np.arange(len(mine)) + pods.served[pod] < self.requests
                requests.seconds[mine[is_cold]] *= self.factor

        return slow_down
