"""Errors that end a part or a whole run, and the signals that raise one of them."""

from __future__ import annotations

import signal


class BenchError(RuntimeError):
    """A part could not be measured. The message says why."""


class Unavailable(Exception):
    """This machine cannot run a part. The message says what is missing."""


class Interrupted(Exception):
    """A signal asked this process to end. Unwinding ends all child processes."""


def unwind_on_signals() -> None:
    """Raise Interrupted in the main thread when a signal asks this process to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(f"interrupted by {signal.Signals(number).name}")
