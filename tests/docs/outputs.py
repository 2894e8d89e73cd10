"""Compare a command's output with what a page shows.

ETags, ids, times and versions differ from run to run, so they are compared by form. An id that a
page shows twice has to be one id in the output, too. In what a page shows, ``…`` stands for any
text of a line, and for any lines where it is alone on one.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import Final

_VOLATILE: Final = {
    "uuid": r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    "hex": r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b",
    "date": r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
    "moment": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "number": r'(?<="last_updated":)\d+|(?<=_ms":)[\d.]+|(?<="uptime_seconds":)[\d.]+',
    "version": r'(?<=KV-Version: )\d+\.\d+\.\d+|(?<=version":")\d+\.\d+\.\d+'
    r"|(?<=tallykv )\d+\.\d+\.\d+",
    "lines": r"(?m:^…\n)",
    "text": r"…",
}
_TOKEN: Final = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _VOLATILE.items()))
_IDS: Final = {"uuid", "hex"}
#: A TTL falls by a second now and then while the page runs.
_TTL: Final = re.compile(r'(?<="ttl":)\d+|(?<=KV-TTL: )\d+')


class OutputDiffers(AssertionError):
    """The output is not what the page shows; the message holds the differences."""


class Outputs:
    """The outputs of one page, whose ids have to agree with each other."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def compare(self, shown: str, actual: str, *, is_complete: bool = True) -> None:
        """Raise OutputDiffers. An output that is not complete only has to begin as shown."""
        shown, actual = _tidy(shown), _tidy(actual)
        pattern, ids = _pattern_of(shown)
        found = pattern.fullmatch(actual) if is_complete else pattern.match(actual)
        if found is None:
            lines = difflib.unified_diff(
                shown.splitlines(), actual.splitlines(), "shown", "actual", lineterm=""
            )
            raise OutputDiffers("\n".join(lines))
        for number, each in enumerate(ids):
            real = found[f"id{number}"]
            if self._ids.setdefault(each, real) != real:
                raise OutputDiffers(f"the page shows {each} for {self._ids[each]} and for {real}")


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"
    return _TTL.sub(lambda found: str(math.ceil(int(found[0]) / 60) * 60), lines)


def _pattern_of(shown: str) -> tuple[re.Pattern[str], list[str]]:
    """Return a pattern for the output, and the ids shown, which are its groups id0, id1, …"""
    pattern, ids, end = "", list[str](), 0
    for found in _TOKEN.finditer(shown):
        kind = str(found.lastgroup)
        pattern += re.escape(shown[end : found.start()])
        if kind in _IDS:
            pattern += f"(?P<id{len(ids)}>{_VOLATILE[kind]})"
            ids.append(found[0])
        elif kind == "lines":
            pattern += r"(?:.*\n)*"
        elif kind == "text":
            pattern += r".*"
        else:
            pattern += f"(?:{_VOLATILE[kind]})"
        end = found.end()
    return re.compile(pattern + re.escape(shown[end:])), ids
