"""The increments of a counter, and the values that it may therefore have. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .answers import WrongAnswer

#: Answers kept to find two that are the same.
_KEPT_ANSWERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Increment:
    """An increment in flight. ``floor`` is the sum that was acknowledged before it began."""

    by: int
    floor: int


@dataclass(slots=True)
class CounterHistory:
    """The increments of one counter, all positive, by the only process that writes it.

    The value is at least the sum of the acknowledged increments and at most that of the begun ones.
    The answers to increments are all different, because each increment makes the value larger.
    """

    acknowledged: int = 0
    #: The sum of all increments but the refused ones.
    begun: int = 0
    _answers: set[int] = field(default_factory=set)

    @property
    def settled(self) -> bool:
        """Return True if the exact value is known."""
        return self.acknowledged == self.begun

    def begin(self, by: int) -> Increment:
        """Record an increment before it is sent."""
        if by < 1:
            raise ValueError("increments must be positive")
        self.begun += by
        return Increment(by, self.acknowledged)

    def acknowledge(self, increment: Increment, value: int) -> None:
        """Record the answer to an increment; raise WrongAnswer if it is impossible."""
        self.acknowledged += increment.by
        if value < increment.floor + increment.by:
            raise WrongAnswer(
                "lost increment", f"{value}, not {increment.floor + increment.by} or more"
            )
        if value > self.begun:
            raise WrongAnswer("doubled increment", f"{value}, not {self.begun} or less")
        if value in self._answers:
            raise WrongAnswer("lost increment", f"two were answered {value}")
        self._answers.add(value)
        if len(self._answers) > _KEPT_ANSWERS:
            # No later answer can be less than what was acknowledged when this one began.
            self._answers = {each for each in self._answers if each > increment.floor}

    def refuse(self, increment: Increment) -> None:
        """Record that an increment was not applied."""
        self.begun -= increment.by

    def begin_read(self) -> int:
        """Return the least value that a read may find which begins now."""
        return self.acknowledged

    def found(self, floor: int, value: int) -> None:
        """Check the value that a read returned; raise WrongAnswer."""
        if value < floor:
            raise WrongAnswer("lost increment", f"{value}, not {floor} or more")
        if value > self.begun:
            raise WrongAnswer("doubled increment", f"{value}, not {self.begun} or less")

    def found_nothing(self, floor: int) -> None:
        """Check a read that found no counter; raise WrongAnswer."""
        if floor:
            raise WrongAnswer("missing counter", f"{floor} were acknowledged")
