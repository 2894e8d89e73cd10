"""Schedules of CronJobs, as the API server reads them. Pure.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple


class _Field(NamedTuple):
    title: str
    least: int
    most: int
    names: Sequence[str] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field(
        "month",
        1,
        12,
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ),
    _Field("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_SHORTHANDS: Final = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)
_EVERY: Final = re.compile(r"@every [+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
_TIME_ZONE: Final = re.compile(r"\b(?:CRON_)?TZ=")
_PART: Final = re.compile(r"(?:(?P<any>[*?])|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\w+))?")


def schedule_errors(schedule: str) -> Iterator[str]:
    """Yield what is wrong in a schedule."""
    if _TIME_ZONE.search(schedule):
        yield "a schedule names no time zone: timeZone does"
    elif schedule.startswith("@"):
        if schedule not in _SHORTHANDS and not _EVERY.fullmatch(schedule):
            yield f'there is no shorthand "{schedule}"'
    elif len(words := schedule.split()) != len(_FIELDS):
        yield f"it has {len(words)} fields instead of 5"
    else:
        for field, word in zip(_FIELDS, words, strict=True):
            for part in word.split(","):
                if why := _wrong(field, part):
                    yield f'"{part}" is not a {field.title}: {why}'


def _wrong(field: _Field, part: str) -> str | None:
    found = _PART.fullmatch(part)
    if found is None:
        return f"write *, a number from {field.least} to {field.most}, a range, or */N"
    if found["step"] is not None and not (found["step"].isdecimal() and int(found["step"])):
        return "a step is a number above 0"
    if found["any"]:
        return None
    bounds = [_number(field, each) for each in (found["first"], found["last"] or found["first"])]
    if any(each is None or not field.least <= each <= field.most for each in bounds):
        return f"use {field.least} to {field.most}"
    first, last = bounds
    return (
        "the range ends before it begins" if first and last is not None and last < first else None
    )


def _number(field: _Field, word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    names = list(field.names)
    return field.least + names.index(word.lower()) if word.lower() in names else None
