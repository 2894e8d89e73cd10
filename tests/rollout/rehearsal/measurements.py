"""Prints measurements, which ``pytest -s`` shows."""

from __future__ import annotations

import sys


def print_measurement(text: str) -> None:
    sys.stdout.write(f"\n  measured: {text}\n")
