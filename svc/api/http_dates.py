"""HTTP-dates (RFC 9110 §5.6.7), which are not the dates of mail. Pure."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Final

_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
#: IMF-fixdate, and the two obsolete forms that a recipient must accept: RFC 850's and asctime's.
_FORMS: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",
    )
)

#: Format seconds since the epoch.
http_date: Final = lru_cache(maxsize=4096)(lambda seconds: formatdate(seconds, usegmt=True))


def parse_http_date(text: str, now_seconds: float) -> int | None:
    """Return the seconds since the epoch; None if the text is not an HTTP-date.

    A year of two digits that seems more than 50 years after ``now_seconds`` is one of the past.
    """
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if found is None:
        return None
    year, month, day = int(found["year"]), _MONTHS.index(found["month"]) + 1, int(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if len(found["year"]) == 2:
        this_year = datetime.fromtimestamp(now_seconds, UTC).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    if second > 60:
        return None
    try:
        # Second 60 is a leap second, which datetime does not have.
        datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))
