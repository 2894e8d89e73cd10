"""A rollout in the terminal: a live view for people, a line an event for logs and CI."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from ..runner.events import Event
from .plan_summary import PlanSummary
from .samples import Sample
from .terminal_view import Seen, describe, draw


class Progress(Protocol):
    """Who shows how it goes."""

    def show_event(self, event: Event) -> None:
        """Show an event."""

    def show_sample(self, sample: Sample) -> None:
        """Show the last second."""


class PlainProgress:
    """One line an event, flushed at once; nothing moves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since: float | None = None

    def show_event(self, event: Event) -> None:
        """Print the event."""
        if self._since is None:
            self._since = event.time
        # Neither wrapped nor coloured: what reads this is a log.
        line = describe(event, self._since)
        self._console.out(line, highlight=False)

    def show_sample(self, sample: Sample) -> None:
        """Show nothing: a line a second is no news."""


class LiveProgress:
    """Redrawn in place, four times a second; the last state stays when it ends."""

    def __init__(self, about: PlanSummary, clock: Callable[[], float]) -> None:
        self._about = about
        self._clock = clock
        self._seen = Seen()

    def show_event(self, event: Event) -> None:
        """Take the event in."""
        self._seen = self._seen.after(event)

    def show_sample(self, sample: Sample) -> None:
        """Take the second in."""
        self._seen = self._seen.with_sample(sample)

    def draw(self) -> RenderableType:
        """Draw what is known now; called by the thread that redraws."""
        return draw(self._seen, self._about, self._clock())


@contextlib.contextmanager
def open_progress(
    about: PlanSummary, console: Console | None = None, clock: Callable[[], float] = time.time
) -> Iterator[Progress]:
    """Show progress until the block ends: live in a terminal, else in lines.

    NO_COLOR and TERM=dumb are respected, by rich; ``clock`` is Unix time as the events have it.
    """
    console = console or Console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainProgress(console)
        return
    live = LiveProgress(about, clock)
    with Live(console=console, get_renderable=live.draw, refresh_per_second=4):
        yield live
