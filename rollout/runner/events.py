"""What happens in a rollout, told once: an event is one line of JSON. Pure."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ..evidence.counts import Counts

#: JSON has no infinity: a product beyond all floats is told as the greatest of them.
LARGEST: Final = sys.float_info.max


class EventsInvalid(Exception):
    """A line is no event; the message says which and what is wrong with it."""


class EventKind(StrEnum):
    """What happened; the last four but ``order`` are how a rollout ends."""

    STARTED = "started"
    WINDOW = "window"
    HELD = "held"
    RESUMED = "resumed"
    STEP = "step"
    ORDER = "order"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


#: How a rollout ends; after one of these there is nothing more to tell.
VERDICTS: Final = (
    EventKind.PROMOTED,
    EventKind.ROLLED_BACK,
    EventKind.INCONCLUSIVE,
    EventKind.FAILED,
)
_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceValues:
    """E-values: 1 says nothing, 100 that chance alone does as much once in 100 rollouts.

    ``harm_slow`` has one for each latency edge of the plan. As thresholds, what each must reach for
    a verdict (those of ``harm_errors`` and ``harm_slow``, parts of ``harm``, are of no use).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    harm: float = 1.0
    harm_errors: float = 1.0
    harm_slow: tuple[float, ...] = ()
    merit: float = 1.0
    breach: float = 1.0
    mismatch: float = 1.0

    def __post_init__(self) -> None:
        """Cap what is infinite; raise ValueError for what is no e-value."""
        for name in ("harm", "harm_errors", "merit", "breach", "mismatch"):
            object.__setattr__(self, name, _capped(name, getattr(self, name)))
        slow = tuple(_capped("harm_slow", each) for each in self.harm_slow)
        object.__setattr__(self, "harm_slow", slow)


def _capped(name: str, value: float) -> float:
    if math.isnan(value) or value < 0:
        raise ValueError(f"{name}: {value} is no e-value, which is 0 or more")
    return min(float(value), LARGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``time`` is Unix time in seconds.

    ``step`` and ``number`` (from 0) are the step in force from now on, ``share`` what the canary
    should get there, 0 to 1. ``since``, ``until`` and the counts are a window's, each request in
    one window only. ``thresholds`` come once, with ``started``. ``reason`` is one of a few words,
    ``detail`` a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    time: float
    rollout: str
    kind: EventKind
    step: str | None = None
    number: int | None = None
    share: float | None = None
    since: float | None = None
    until: float | None = None
    stable: Counts | None = None
    canary: Counts | None = None
    evidence: EvidenceValues | None = None
    thresholds: EvidenceValues | None = None
    reason: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that JSON has no word for, or that can't be."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{field.name}: {value} is no number to tell")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not between 0 and 1")


_EVENT: Final = TypeAdapter(Event)


def render_event(event: Event) -> str:
    """Render one line with its newline; what is not known is left out."""
    return _EVENT.dump_json(event, exclude_defaults=True).decode() + "\n"


def parse_event(line: str) -> Event:
    """Parse a line; raise EventsInvalid for anything that no ``render_event`` wrote."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise EventsInvalid(f"{where}: {first['msg']}") from error


def parse_events(text: str) -> list[Event]:
    """Parse a log, strictly but for its last line: a writer that was killed may have torn it."""
    lines = text.split("\n")
    torn = lines.pop()
    events = [_numbered(number, line) for number, line in enumerate(lines, 1)]
    if torn:
        with contextlib.suppress(EventsInvalid):
            events.append(parse_event(torn))
    return events


def _numbered(number: int, line: str) -> Event:
    try:
        return parse_event(line)
    except EventsInvalid as error:
        raise EventsInvalid(
            f"line {number}: {error}; the log was changed, or written by another version"
        ) from error


def total(counts: Iterable[Counts | None]) -> Counts:
    """Add counts up; none at all is zero."""
    found = [each for each in counts if each is not None]
    return sum(found[1:], found[0]) if found else Counts(0, 0)
