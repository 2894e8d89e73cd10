"""Whether what clients saw of one entry could be: its history as that of an atomic register.

The search is Wing and Gong's (Testing and Verifying Concurrent Objects, JPDC 17, 1993) with Lowe's
memory of configurations seen before (Testing for Linearizability, CCPE 29, 2017): take any access
that began before the first end among those not taken, if the register allows it, else step back.
An access whose outcome is unknown ends never and need not be taken. Entries are independent of each
other, and linearizability is local (Herlihy and Wing, TOPLAS 12, 1990): one entry at a time does.

Pure: no clock, no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: A history that needs more steps than this is given up; ours need some hundred.
MAX_STEPS: Final = 2_000_000

Kind = Literal["read", "write", "swap", "miss"]


class Undecided(RuntimeError):
    """A history is too tangled to be decided in reasonable time."""


@dataclass(frozen=True, slots=True)
class Access:
    """One access to an entry; times in seconds of one clock, values unique, None when missing.

    ``read`` saw ``value``, ``write`` set it, ``swap`` set it where ``expected`` was. A ``miss`` is
    a swap that was refused for it did not find ``expected``, but ``value``, if ``is_seen``.
    """

    kind: Kind
    called: float
    returned: float
    value: str | None
    expected: str | None = None
    #: False: the answer never came, the access happened later than ``called`` or not at all.
    is_known: bool = True
    #: Of a miss: whether the refusal told what was found.
    is_seen: bool = True

    def follows(self, value: str | None) -> bool:
        """Tell whether it can happen to a register that holds ``value``."""
        if self.kind == "read":
            return value == self.value
        if self.kind == "swap":
            return value == self.expected
        if self.kind == "miss":
            return value != self.expected and (not self.is_seen or value == self.value)
        return True

    def leaves(self, value: str | None) -> str | None:
        """Return what the register holds after it."""
        return self.value if self.kind in {"write", "swap"} else value


def is_linearizable(accesses: Sequence[Access], initial: str | None = None) -> bool:
    """Tell whether an order of the accesses explains them all; raises Undecided."""
    return _Search(_observable(accesses)).succeeds(initial)


def _observable(accesses: Sequence[Access]) -> list[Access]:
    """Leave out the unknown changes that nobody can have noticed.

    Nothing between such a change and the next depends on it, so an order with it is one without.
    Only a refusal that does not tell what it found might be owed to it.
    """
    if any(a.kind == "miss" and not a.is_seen for a in accesses):
        return list(accesses)
    noticed = {a.value for a in accesses if a.kind in {"read", "miss"}}
    noticed |= {a.expected for a in accesses if a.kind == "swap"}
    return [a for a in accesses if a.is_known or a.value in noticed]


class _Event:
    """A call or a return, in a list linked both ways."""

    __slots__ = ("access", "after", "before", "bit", "is_call", "match")

    def __init__(self, access: Access, bit: int, match: _Event | None) -> None:
        self.access = access
        #: Which access it is, as a set of one; a return has none.
        self.bit = bit
        self.is_call = bit != 0
        #: A call's return, if it is known. None on a return itself.
        self.match = match
        self.before: _Event | None = None
        self.after: _Event | None = None

    def unlink(self) -> None:
        if self.before is not None:
            self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def relink(self) -> None:
        if self.before is not None:
            self.before.after = self
        if self.after is not None:
            self.after.before = self


class _Search:
    def __init__(self, accesses: Sequence[Access]) -> None:
        self._head = _Event(Access("read", 0, 0, None), 0, None)
        timed: list[tuple[float, bool, int, _Event]] = []
        for i, access in enumerate(accesses):
            match = None
            if access.is_known:
                match = _Event(access, 0, None)
                # At the same moment calls come first: what touches may overlap.
                timed.append((access.returned, True, i, match))
            timed.append((access.called, False, i, _Event(access, 1 << i, match)))
        last = self._head
        for *_, event in sorted(timed, key=lambda each: each[:3]):
            last.after, event.before = event, last
            last = event
        self._left = sum(a.is_known for a in accesses)

    def succeeds(self, value: str | None) -> bool:
        left, taken, steps = self._left, 0, 0
        seen: set[tuple[int, str | None]] = set()
        path: list[tuple[_Event, str | None]] = []
        event = self._head.after
        while left:
            steps += 1
            if steps > MAX_STEPS:
                raise Undecided(f"not decided within {MAX_STEPS:,} steps")
            if event is not None and event.is_call:
                configuration = (taken | event.bit, event.access.leaves(value))
                if event.access.follows(value) and configuration not in seen:
                    seen.add(configuration)
                    path.append((event, value))
                    taken, value = configuration
                    left -= event.match is not None
                    self._take(event)
                    event = self._head.after
                else:
                    event = event.after
                continue
            # Somebody's answer came before anything else could happen: an earlier choice is wrong.
            if not path:
                return False
            event, value = path.pop()
            taken ^= event.bit
            left += event.match is not None
            self._give_back(event)
            event = event.after
        return True

    @staticmethod
    def _take(call: _Event) -> None:
        call.unlink()
        if call.match is not None:
            call.match.unlink()

    @staticmethod
    def _give_back(call: _Event) -> None:
        if call.match is not None:
            call.match.relink()
        call.relink()
