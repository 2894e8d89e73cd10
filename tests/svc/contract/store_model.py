"""A model of a store, as a dict, and the operations to run on both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st

from svc.domain.errors import CounterBound, CounterOverflow
from svc.domain.model import CounterName, Draft, Increment, Key, Operation, Precondition, Ttl

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1
#: A TTL in seconds that is longer than any test.
LONG: Final = 1000


KEYS: Final = ("a", "a/b", "a*", "é", "{t}", "b")
COUNTERS: Final = ("c", "c:d", "~")
keys = st.sampled_from(KEYS).map(Key)
names = st.sampled_from(COUNTERS).map(CounterName)


ttls: st.SearchStrategy[Ttl] = st.sampled_from([None, LONG, 2 * LONG, "keep"])
steps = st.one_of(
    st.integers(-3, 3), st.sampled_from([HIGHEST, LOWEST, 2**53, -(2**53)]), st.integers(0, 10**18)
)
increments = st.builds(
    Increment,
    by=steps,
    minimum=st.none() | steps,
    maximum=st.none() | steps,
    clamp=st.booleans(),
    ttl_seconds=st.sampled_from([None, LONG, 2 * LONG]),
    touch=st.booleans(),
)
bodies = st.binary(max_size=20)
conditions = st.sampled_from(["", "", "match", "match any", "none", "none of"])


def draft(body: bytes, ttl: Ttl) -> Draft:
    return Draft(body, "text/plain", ttl, is_json=False, default_ttl_seconds=3 * LONG)


@dataclass
class Model:
    """The expected contents of the store, and its recorded outcomes."""

    entries: dict[Key, tuple[bytes, str, int | None]] = field(default_factory=dict)
    counters: dict[CounterName, tuple[int, int | None]] = field(default_factory=dict)
    etags: list[str] = field(default_factory=lambda: ['"never"'])
    #: By operation: the outcome of its increment, which is the sum or the error's slug.
    operations: list[tuple[CounterName, Increment, Operation, int | str]] = field(
        default_factory=list
    )

    def ttl_after(self, key: Key, ttl: Ttl) -> int | None:
        if ttl != "keep":
            return ttl
        return self.entries[key][2] if key in self.entries else 3 * LONG

    def precondition(self, key: Key, kind: str, pick: int) -> tuple[Precondition | None, bool]:
        """Build a precondition. Return it, and whether it is true."""
        current = self.entries[key][1] if key in self.entries else None
        some = self.etags[pick % len(self.etags)]
        match kind:
            case "match":
                tags = (some,) if current is None or pick % 2 else ('"other"', current)
                return Precondition(if_match=tags), current in tags
            case "match any":
                return Precondition(if_match=("*",)), current is not None
            case "none":
                return Precondition(if_none_match=("*",)), current is None
            case "none of":
                spared = some if current is None or pick % 2 else current
                return Precondition(if_none_match=('"other"', spared)), current != spared
        return None, True

    def step(self, name: CounterName, by: Increment) -> int | str:
        """Increment the model's counter. Return the sum, or the error's slug."""
        value, ttl = self.counters.get(name, (0, None))
        after = value + by.by
        bound = by.maximum if by.by > 0 else by.minimum
        if by.by and bound is not None and (after > bound if by.by > 0 else after < bound):
            if not by.clamp:
                return CounterBound.slug
            after = max(value, bound) if by.by > 0 else min(value, bound)
        elif not LOWEST <= after <= HIGHEST:
            return CounterOverflow.slug
        if by.ttl_seconds is not None and (name not in self.counters or by.touch):
            ttl = by.ttl_seconds
        self.counters[name] = (after, ttl)
        return after


def about(seconds: int | None, expected: int | None) -> bool:
    """Round a TTL, because tests/svc/api checks TTLs to the second."""
    if seconds is None or expected is None:
        return seconds is expected
    return abs(seconds - expected) < 60
