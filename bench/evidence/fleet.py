"""The instances of a world: the pods of each release, and the proxies that call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .requests import STABLE, Ints


@dataclass(slots=True)
class Fleet:
    """All pods or all proxies that ever were. Times are Unix seconds, infinity for "not yet"."""

    #: The first part of every address.
    network: str
    arms: list[int] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    #: The last restart of the process, which sets its counters to zero.
    restarted: list[float] = field(default_factory=list)
    first_request: list[float] = field(default_factory=list)
    served: list[int] = field(default_factory=list)
    _live: dict[int, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.arms)

    def address(self, index: int) -> str:
        return f"{self.network}.{index // 250}.{index % 250 + 1}"

    def add(self, now: float, arm: int = STABLE) -> int:
        """Start an instance, which gets requests from now on; return its index."""
        self.arms.append(arm)
        self.started.append(now)
        self.gone.append(float("inf"))
        self.restarted.append(now)
        self.first_request.append(float("inf"))
        self.served.append(0)
        self._live.clear()
        return len(self.arms) - 1

    def remove(self, index: int, now: float) -> None:
        self.gone[index] = now
        self._live.clear()

    def restart(self, index: int, now: float) -> None:
        self.restarted[index] = now

    def live(self, arm: int) -> Ints:
        """Return the indices of the arm's instances that get requests."""
        if arm not in self._live:
            here = [
                index
                for index, own in enumerate(self.arms)
                if own == arm and self.gone[index] == float("inf")
            ]
            self._live[arm] = np.array(here, dtype=np.int64)
        return self._live[arm]

    def pick(self, rng: np.random.Generator, arms: Ints) -> Ints:
        """Return an instance for each request, by the arm of the request."""
        picked = np.zeros(len(arms), dtype=np.int64)
        for arm, count in enumerate(np.bincount(arms, minlength=1).tolist()):
            if count == len(arms) > 0:
                # Nearly always so for proxies, and before the first step.
                live = self.live(arm)
                all_of_one: Ints = live[rng.integers(len(live), size=count)]
                return all_of_one
            if count:
                live = self.live(arm)
                picked[arms == arm] = live[rng.integers(len(live), size=count)]
        return picked

    def note(self, picked: Ints, starts: Sequence[float]) -> None:
        """Note who got requests; ``starts`` are in ascending order."""
        for index, count in enumerate(np.bincount(picked, minlength=1).tolist()):
            if count:
                if not self.served[index]:
                    self.first_request[index] = starts[int(np.argmax(picked == index))]
                self.served[index] += count
