"""What the users of one process share: names of the run's own, ledgers, and dice."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count

from ..ledgers.counters import CounterHistory
from ..ledgers.entries import KeyHistory
from ..zipf import Zipf


@dataclass(slots=True)
class Run:
    """State of a process; every name it writes begins with ``name``, so that no other writes it.

    Entries and counters live for a day (``ttl_seconds``), and so does what a run leaves behind.
    """

    keys: int = 1000
    user_rate: float = 10.0
    ttl_seconds: int = 86_400
    name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:12]}")
    rng: random.Random = field(default_factory=random.Random)
    entries: dict[str, KeyHistory] = field(default_factory=lambda: defaultdict(KeyHistory))
    counters: dict[str, CounterHistory] = field(default_factory=lambda: defaultdict(CounterHistory))
    #: Users that run; the last one to stop looks whether all is as it was acknowledged.
    users: int = 0
    zipf: Zipf = field(init=False)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.zipf = Zipf(self.keys)

    def number(self) -> int:
        """Return a number that no other user of the run has."""
        return next(self._numbers)

    def idempotency_key(self) -> str:
        return f'"{uuid.uuid4().hex}"'
