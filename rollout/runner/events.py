"""The events of a rollout, and their format: one line of JSON for each event."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ..evidence.counts import Counts

#: JSON has no infinity; larger e-values are written as this number.
LARGEST: Final = sys.float_info.max


class EventsInvalid(Exception):
    """A line is no event; the message names the field and says what is wrong with it."""


class EventKind(StrEnum):
    """What happened; ``VERDICTS`` are the kinds that end a rollout."""

    STARTED = "started"
    WINDOW = "window"
    HELD = "held"
    RESUMED = "resumed"
    STEP = "step"
    #: A control command was carried out: pause, resume or abort.
    COMMAND = "order"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


#: The last event of a rollout is one of these.
VERDICTS: Final = (
    EventKind.PROMOTED,
    EventKind.ROLLED_BACK,
    EventKind.INCONCLUSIVE,
    EventKind.FAILED,
)
_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceValues:
    """E-values. Under the null hypothesis, an e-value ever reaches 100 with probability <= 1 %.

    ``harm_slow`` has one for each latency threshold of the plan. In ``Event.thresholds`` these are
    the values that each e-value must reach; ``harm_errors`` and ``harm_slow`` are unused there.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    harm: float = 1.0
    harm_errors: float = 1.0
    harm_slow: tuple[float, ...] = ()
    merit: float = 1.0
    breach: float = 1.0
    mismatch: float = 1.0

    def __post_init__(self) -> None:
        """Replace infinity by LARGEST; raise ValueError for NaN and negative numbers."""
        for name in ("harm", "harm_errors", "merit", "breach", "mismatch"):
            object.__setattr__(self, name, _capped(name, getattr(self, name)))
        slow = tuple(_capped("harm_slow", each) for each in self.harm_slow)
        object.__setattr__(self, "harm_slow", slow)


def _capped(name: str, value: float) -> float:
    if math.isnan(value) or value < 0:
        raise ValueError(f"{name}: {value} is no e-value: it must be 0 or more")
    return min(float(value), LARGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at ``time``, Unix time in seconds.

    ``step`` and ``number`` (from 0) name the step in force from now on. ``share`` is the ratio of
    requests that the canary should get there, 0 to 1, ``baseline_share`` that of the baseline,
    None if the plan has none. ``since``, ``until`` and the counts belong to
    a window; each request is in one window only. ``stable`` is the old release, its ``baseline``
    included. ``thresholds`` come with ``started`` and
    ``resumed``. ``requests_needed`` is about how many more requests of the canary a proof of its
    quality takes, 0 if there is one, None if more requests do not help; ``seconds_needed`` is the
    time that they take at the present rate. ``reason`` is a fixed word (see ``decisions.Reason``),
    ``detail`` a sentence.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    time: float
    rollout: str
    kind: EventKind
    step: str | None = None
    number: int | None = None
    share: float | None = None
    baseline_share: float | None = None
    since: float | None = None
    until: float | None = None
    stable: Counts | None = None
    canary: Counts | None = None
    baseline: Counts | None = None
    evidence: EvidenceValues | None = None
    thresholds: EvidenceValues | None = None
    requests_needed: int | None = None
    seconds_needed: float | None = None
    reason: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for NaN, infinity, or the canary's share outside 0 to 1."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{field.name}: {value} is not a finite number")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not between 0 and 1")


_EVENT: Final = TypeAdapter(Event)


def render_event(event: Event) -> str:
    """Return one line with its newline; fields with default values are left out."""
    return _EVENT.dump_json(event, exclude_defaults=True).decode() + "\n"


def parse_event(line: str) -> Event:
    """Parse what ``render_event`` returned; raise EventsInvalid for anything else."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise EventsInvalid(f"{where}: {first['msg']}") from error


def total(counts: Iterable[Counts | None]) -> Counts:
    """Return the sum; without any counts it is zero."""
    found = [each for each in counts if each is not None]
    return sum(found[1:], found[0]) if found else Counts(0, 0)
