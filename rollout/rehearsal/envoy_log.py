"""What Envoy said last, without what only its developers want to know: pure."""

from __future__ import annotations

import re
from typing import Final

#: When, by which thread, where in its source, and of which of our files.
_PREFIX: Final = re.compile(
    r"^(\[[^]]*\])+ (\[[^]]*\] )?(error initializing configuration '[^']*': )?"
)
_BLANKS: Final = re.compile(r"\s+")


def last_word(said: str) -> str:
    """Return the last line of a log, shortened; empty if there is none."""
    lines = said.strip().splitlines()
    return _BLANKS.sub(" ", _PREFIX.sub("", lines[-1])) if lines else ""
