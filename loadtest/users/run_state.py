"""What the users of one process share: names of the run, histories, and random keys."""

from __future__ import annotations

import random
import uuid
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate, count

from ..checks.counter_history import CounterHistory
from ..checks.entry_history import EntryHistory


class Zipf:
    """Draws ranks from 0. Rank r has the weight 1 / (r + 1) ** exponent.

    YCSB's exponent is 0.99: of 1000 keys the first gets 13 % of the draws, the first ten 38 %
    (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, 2010).
    """

    def __init__(self, ranks: int, exponent: float = 0.99) -> None:
        if ranks < 1:
            raise ValueError("there must be at least one rank")
        weights = (float((rank + 1) ** -exponent) for rank in range(ranks))
        self._cumulated = list(accumulate(weights))

    def draw(self, rng: random.Random) -> int:
        """Return a rank."""
        return bisect_right(self._cumulated, rng.random() * self._cumulated[-1])

    def probability(self, rank: int) -> float:
        """Return the probability of a rank."""
        below = self._cumulated[rank - 1] if rank else 0.0
        return (self._cumulated[rank] - below) / self._cumulated[-1]


@dataclass(slots=True)
class RunState:
    """State of one process. All names that it writes begin with ``name``, which no other uses.

    Entries and counters live for a day (``ttl_seconds``), also those of a run that was killed.
    """

    keys: int = 1000
    user_rate: float = 10.0
    ttl_seconds: int = 86_400
    name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:12]}")
    rng: random.Random = field(default_factory=random.Random)
    entries: dict[str, EntryHistory] = field(default_factory=lambda: defaultdict(EntryHistory))
    counters: dict[str, CounterHistory] = field(default_factory=lambda: defaultdict(CounterHistory))
    #: Running users. The last one to stop checks the final state.
    users: int = 0
    zipf: Zipf = field(init=False)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.zipf = Zipf(self.keys)

    def number(self) -> int:
        """Return a number that no other user of the process has."""
        return next(self._numbers)

    def idempotency_key(self) -> str:
        return f'"{uuid.uuid4().hex}"'
