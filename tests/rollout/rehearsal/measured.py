"""Numbers for whoever runs the tests with ``-s``."""

from __future__ import annotations

import sys


def show(measured: str) -> None:
    sys.stdout.write(f"\n  measured: {measured}\n")
