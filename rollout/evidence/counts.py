"""What is observed of two releases: requests, failures, slow answers, and what a window adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Arm(StrEnum):
    """The release that serves already, and the one that comes."""

    STABLE = "stable"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests, as a client counts them: one that was tried three times is one.

    ``failures`` are those answered with 5xx or not at all. ``slow`` has a number for each latency
    edge of the plan: requests that failed or took longer than that edge.
    """

    requests: int
    failures: int
    slow: tuple[int, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.requests + other.requests,
            self.failures + other.failures,
            tuple(one + more for one, more in zip(self.slow, other.slow, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Counters of one instance (pod, proxy), which only grow, or start from zero when it does."""

    arm: Arm
    instance: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters as they stood at one time; ``at`` is Unix time in seconds, of the counters.

    ``started`` has the Unix time at which an instance began to count, where that is known.
    """

    at: float
    counts: Mapping[Series, Counts]
    started: Mapping[Series, float]


@dataclass(frozen=True, slots=True)
class Window:
    """What was added between two readings."""

    since: float
    until: float
    stable: Counts
    canary: Counts

    @property
    def requests(self) -> int:
        return self.stable.requests + self.canary.requests
