"""Signals that end a measurement."""

from __future__ import annotations

import signal


class Interrupted(Exception):
    """Unwinds like any failure: each server is ended on the way out."""


def unwind_on_signals() -> None:
    """Raise Interrupted where the main thread is when a signal asks this process to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(f"interrupted by {signal.Signals(number).name}")
