"""What bad releases do: they fail, slow down, fall silent; at once, later, or now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .requests import CANARY, Requests
from .world import EPOCH, Effect, World


@dataclass(frozen=True, slots=True)
class CanaryErrors:
    """The canary's requests fail with this probability, from ``since`` seconds after the start."""

    ratio: float
    since: float = 0.0

    def __call__(self, world: World) -> Effect:
        def fail(requests: Requests) -> None:
            bad = (requests.arm == CANARY) & (requests.start >= EPOCH + self.since)
            if bad.any():
                world.begin_harm(float(requests.start[bad][0]))
                requests.failed |= bad & (world.rng.random(len(requests)) < self.ratio)

        return fail


@dataclass(frozen=True, slots=True)
class Flapping:
    """The canary fails a ratio of its requests for some seconds, once in each period."""

    period_seconds: float = 1200.0
    seconds: float = 60.0
    ratio: float = 0.5

    def __call__(self, world: World) -> Effect:
        phase = world.rng.uniform(0, self.period_seconds)

        def fail(requests: Requests) -> None:
            within = (requests.start - EPOCH + phase) % self.period_seconds < self.seconds
            bad = (requests.arm == CANARY) & within
            if bad.any():
                world.begin_harm(float(requests.start[bad][0]))
                requests.failed |= bad & (world.rng.random(len(requests)) < self.ratio)

        return fail


@dataclass(frozen=True, slots=True)
class CanaryLatency:
    """The canary's own service times, lognormal, where its share is at least ``from_share``.

    ``spread`` is the standard deviation of the logarithm. Only a ``ratio`` of its requests takes
    them.
    """

    median_seconds: float
    spread: float
    ratio: float = 1.0
    from_share: float = 0.0

    def __call__(self, world: World) -> Effect:
        def slow_down(requests: Requests) -> None:
            if world.shares[0] < self.from_share:
                return
            canary = np.flatnonzero(requests.arm == CANARY)
            slow = canary[world.rng.random(len(canary)) < self.ratio]
            if len(canary):
                world.begin_harm(float(requests.start[canary[0]]))
            normal = world.rng.standard_normal(len(slow))
            requests.seconds[slow] = self.median_seconds * np.exp(self.spread * normal)

        return slow_down


@dataclass(frozen=True, slots=True)
class CanarySlower:
    """The canary takes ``factor`` times as long, from ``since`` seconds after the start on."""

    factor: float
    since: float = 0.0

    def __call__(self, world: World) -> Effect:
        def slow_down(requests: Requests) -> None:
            bad = (requests.arm == CANARY) & (requests.start >= EPOCH + self.since)
            if bad.any():
                world.begin_harm(float(requests.start[bad][0]))
                requests.seconds[bad] *= self.factor

        return slow_down


@dataclass(frozen=True, slots=True)
class Lost:
    """The canary stops answering, within half a minute after its share has reached ``share``.

    ``as_neither``: the requests fail at once, and proxies count them for neither release. Else they
    hang, and nobody counts them. ``share`` None means that of any step by chance.
    """

    as_neither: bool
    share: float | None = None
    shares: tuple[float, ...] = ()
    latest_seconds: float = 30.0

    def __call__(self, world: World) -> Effect:
        rng = world.rng
        chosen = float(rng.choice(self.shares)) if self.share is None else self.share
        gone = [math.inf]

        def go(share: float) -> None:
            if share >= chosen and gone[0] == math.inf:
                gone[0] = world.now + rng.uniform(0, self.latest_seconds)

        world.on_share.append(go)

        def lose(requests: Requests) -> None:
            lost = (requests.arm == CANARY) & (requests.start >= gone[0])
            if lost.any():
                world.begin_harm(gone[0])
                world.lose(requests, lost, as_neither=self.as_neither)

        return lose
