"""Requests recorded one by one, so that several algorithms judge the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rollout.evidence.counts import Counts, Window

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a release answers: the probability to fail, and to be late by ``delay_seconds``."""

    error_ratio: float
    delayed_ratio: float = 0.0
    delay_seconds: float = 0.1


@dataclass(frozen=True, slots=True)
class Block:
    """The requests of one window. Uniform draws decide their arm, failure and delay."""

    arm: Numbers
    failure: Numbers
    delay: Numbers
    #: Service times without the delay.
    seconds: Numbers

    def canary(self, share: float) -> NDArray[np.bool_]:
        """Return which requests go to the canary. A larger share adds more."""
        return np.asarray(self.arm < share)

    def answered(
        self, chosen: NDArray[np.bool_], behaviour: Behaviour
    ) -> tuple[NDArray[np.bool_], Numbers]:
        """Return which of the chosen requests fail, and the seconds that each takes."""
        late = self.delay[chosen] < behaviour.delayed_ratio
        seconds = self.seconds[chosen] + behaviour.delay_seconds * late
        return self.failure[chosen] < behaviour.error_ratio, seconds


@dataclass(slots=True)
class Recording:
    """Blocks of some seconds. Each is drawn once, and kept."""

    rng: np.random.Generator
    rps: float
    seconds: float = 5.0
    #: Lognormal service times. The median is 20 ms, and 1 in 200 takes longer than 100 ms.
    median_seconds: float = 0.02
    spread: float = 0.625
    _blocks: list[Block] = field(default_factory=list)

    def block(self, number: int) -> Block:
        while len(self._blocks) <= number:
            count = int(self.rng.poisson(self.rps * self.seconds))
            arm, failure, delay = self.rng.random((3, count))
            normal = self.rng.standard_normal(count)
            self._blocks.append(
                Block(arm, failure, delay, self.median_seconds * np.exp(self.spread * normal))
            )
        return self._blocks[number]


@dataclass(frozen=True, slots=True)
class Replay:
    """A recording as the traffic that a rollout observes."""

    recording: Recording
    stable: Behaviour
    canary: Behaviour
    slow_seconds: tuple[float, ...]

    def window(self, since: float, share: float | None) -> Window:
        seconds = self.recording.seconds
        block = self.recording.block(round(since / seconds))
        canary = block.canary(share or 0.0)
        return Window(
            since,
            since + seconds,
            self._counts(block, ~canary, self.stable),
            self._counts(block, canary, self.canary),
        )

    def _counts(self, block: Block, chosen: NDArray[np.bool_], behaviour: Behaviour) -> Counts:
        failed, seconds = block.answered(chosen, behaviour)
        return Counts(
            len(failed),
            int(np.count_nonzero(failed)),
            tuple(int(np.count_nonzero(failed | (seconds > edge))) for edge in self.slow_seconds),
        )
