"""Whether the history of one entry is that of an atomic register. Pure.

The algorithm is Wing and Gong's (Testing and Verifying Concurrent Objects, JPDC 17, 1993) with
Lowe's cache of configurations (Testing for Linearizability, CCPE 29, 2017), as in Knossos and
Porcupine: linearize any operation that was called before the first return of the others, if the
model allows it, else backtrack. An operation with an unknown outcome never returns and need not be
linearized. Linearizability is local (Herlihy and Wing, TOPLAS 12, 1990), so that each entry can be
checked by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: A check that takes more steps is given up. Ours take some hundred.
MAX_STEPS: Final = 2_000_000

Kind = Literal["read", "write", "cas", "failed cas"]


class Undecided(RuntimeError):
    """The history could not be checked within MAX_STEPS."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on an entry. Times are seconds of one clock; the value of no entry is None.

    ``read`` returned ``value``; ``write`` set it; ``cas`` set it where ``expected`` was. A
    ``failed cas`` found ``value`` in place of ``expected``, or something unknown if not
    ``is_seen``.
    """

    kind: Kind
    called: float
    returned: float
    value: str | None
    expected: str | None = None
    #: False if no answer came: it was applied at some time after ``called``, or never.
    is_known: bool = True
    is_seen: bool = True
    #: Of a ``failed cas``: the ETag of the value that it found.
    etag: str | None = None

    def is_allowed(self, state: str | None) -> bool:
        """Return True if a register in this state can give the operation's result."""
        if self.kind == "read":
            return state == self.value
        if self.kind == "cas":
            return state == self.expected
        if self.kind == "failed cas":
            return state != self.expected and (not self.is_seen or state == self.value)
        return True

    def next_state(self, state: str | None) -> str | None:
        return self.value if self.kind in {"write", "cas"} else state


def is_linearizable(operations: Sequence[Operation], initial: str | None = None) -> bool:
    """Return True if some order of the operations explains all results; raise Undecided."""
    return _Search(_observable(operations)).succeeds(initial)


def _observable(operations: Sequence[Operation]) -> list[Operation]:
    """Leave out the unknown changes that no other operation observed.

    No operation between such a change and the next change depends on it, so every order with it is
    also one without it. The exception is a failed cas that does not say what it found.
    """
    if any(each.kind == "failed cas" and not each.is_seen for each in operations):
        return list(operations)
    observed = {each.value for each in operations if each.kind in {"read", "failed cas"}}
    observed |= {each.expected for each in operations if each.kind == "cas"}
    return [each for each in operations if each.is_known or each.value in observed]


class _Event:
    """A call or a return, in a doubly linked list."""

    __slots__ = ("after", "before", "bit", "is_call", "match", "operation")

    def __init__(self, operation: Operation, bit: int, match: _Event | None) -> None:
        self.operation = operation
        #: The operation as a set with one element; 0 for a return.
        self.bit = bit
        self.is_call = bit != 0
        #: The return of a call with a known outcome, else None.
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
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._head = _Event(Operation("read", 0, 0, None), 0, None)
        timed: list[tuple[float, bool, int, _Event]] = []
        for i, operation in enumerate(operations):
            match = None
            if operation.is_known:
                match = _Event(operation, 0, None)
                # At equal times calls come first, so that such operations are concurrent.
                timed.append((operation.returned, True, i, match))
            timed.append((operation.called, False, i, _Event(operation, 1 << i, match)))
        last = self._head
        for *_, event in sorted(timed, key=lambda each: each[:3]):
            last.after, event.before = event, last
            last = event
        self._left = sum(each.is_known for each in operations)

    def succeeds(self, state: str | None) -> bool:
        left, linearized, steps = self._left, 0, 0
        seen: set[tuple[int, str | None]] = set()
        path: list[tuple[_Event, str | None]] = []
        event = self._head.after
        while left:
            steps += 1
            if steps > MAX_STEPS:
                raise Undecided(f"not decided within {MAX_STEPS:,} steps")
            if event is not None and event.is_call:
                configuration = (linearized | event.bit, event.operation.next_state(state))
                if event.operation.is_allowed(state) and configuration not in seen:
                    seen.add(configuration)
                    path.append((event, state))
                    linearized, state = configuration
                    left -= event.match is not None
                    self._linearize(event)
                    event = self._head.after
                else:
                    event = event.after
                continue
            # A return before which nothing could be linearized: backtrack.
            if not path:
                return False
            event, state = path.pop()
            linearized ^= event.bit
            left += event.match is not None
            self._undo(event)
            event = event.after
        return True

    @staticmethod
    def _linearize(call: _Event) -> None:
        call.unlink()
        if call.match is not None:
            call.match.unlink()

    @staticmethod
    def _undo(call: _Event) -> None:
        if call.match is not None:
            call.match.relink()
        call.relink()
