"""How much a test does: in ``make test`` enough to fail, with ``make long`` enough to find more."""

from __future__ import annotations

import os
from typing import Final

IS_LONG: Final = bool(os.environ.get("TESTS_LONG"))


def size(short: int, *, long: int) -> int:
    """Return ``long`` if the environment variable TESTS_LONG is set, else ``short``."""
    return long if IS_LONG else short
