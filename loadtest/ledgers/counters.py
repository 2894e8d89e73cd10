"""What was added to a counter and acknowledged, and which values it may therefore have. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..checks import WrongAnswer

#: Answers remembered, so that two of the same value are noticed.
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """An increment under way; ``floor`` was acknowledged before it began."""

    by: int
    floor: int


@dataclass(slots=True)
class CounterHistory:
    """The increments of one counter by the only process that writes it; all are positive.

    The value lies between what is acknowledged and what was begun, and the sums that increments
    are told are all different, for each is more than the one before it.
    """

    acknowledged: int = 0
    #: What may be in the value: the acknowledged, those under way, those of which nobody knows.
    begun: int = 0
    _told: set[int] = field(default_factory=set)

    @property
    def settled(self) -> bool:
        """Tell whether the exact value is known."""
        return self.acknowledged == self.begun

    def begin(self, by: int) -> Step:
        """Note an increment before it is sent."""
        if by < 1:
            raise ValueError("only what grows can be judged by its bounds")
        self.begun += by
        return Step(by, self.acknowledged)

    def acknowledge(self, step: Step, value: int) -> None:
        """Note the sum that an increment was told; raise WrongAnswer if it can't be."""
        self.acknowledged += step.by
        if value < step.floor + step.by:
            raise WrongAnswer("lost increment", f"{value}, not {step.floor + step.by} or more")
        if value > self.begun:
            raise WrongAnswer("doubled increment", f"{value}, not {self.begun} or less")
        if value in self._told:
            raise WrongAnswer("lost increment", f"two were told {value}")
        self._told.add(value)
        if len(self._told) > _REMEMBERED:
            # Nobody will be told less than what was acknowledged when this one began.
            self._told = {each for each in self._told if each > step.floor}

    def refuse(self, step: Step) -> None:
        """Note that an increment surely was not made."""
        self.begun -= step.by

    def begin_read(self) -> int:
        """Note a read before it is sent; return what it must find at least."""
        return self.acknowledged

    def found(self, floor: int, value: int) -> None:
        """Check the value that a read found; raise WrongAnswer."""
        if value < floor:
            raise WrongAnswer("lost increment", f"{value}, not {floor} or more")
        if value > self.begun:
            raise WrongAnswer("doubled increment", f"{value}, not {self.begun} or less")

    def found_nothing(self, floor: int) -> None:
        """Check that a read may find no counter; raise WrongAnswer."""
        if floor:
            raise WrongAnswer("missing counter", f"{floor} were acknowledged")
