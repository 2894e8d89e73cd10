"""Show a rollout in the terminal: a live view for people, one line per event for logs and CI."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from ..runner.events import Event, EvidenceValues
from .plan_summary import PlanSummary
from .samples import Sample
from .terminal_view import Progress, event_line, render_progress


class ProgressView(Protocol):
    """Shows the progress of a rollout."""

    def show_event(self, event: Event) -> None:
        """Show an event."""

    def show_sample(self, sample: Sample) -> None:
        """Show the last second."""


class PlainView:
    """Prints one line per event and flushes it at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since: float | None = None
        self._thresholds: EvidenceValues | None = None

    def show_event(self, event: Event) -> None:
        """Print the event."""
        if self._since is None:
            self._since = event.time
        self._thresholds = event.thresholds or self._thresholds
        # Neither wrapped nor coloured: the line goes to a log.
        self._console.out(event_line(event, self._since, self._thresholds), highlight=False)

    def show_sample(self, sample: Sample) -> None:
        """Print nothing: a line per second would flood a log."""


class LiveView:
    """Redraws in place, four times a second; the last view stays on the screen."""

    def __init__(self, plan: PlanSummary, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._clock = clock
        self._progress = Progress()

    def show_event(self, event: Event) -> None:
        """Show the event from the next redraw on."""
        self._progress = self._progress.with_event(event)

    def show_sample(self, sample: Sample) -> None:
        """Show the sample from the next redraw on."""
        self._progress = self._progress.with_sample(sample)

    def render(self) -> RenderableType:
        """Render the current view; the thread that redraws calls this."""
        return render_progress(self._progress, self._plan, self._clock())


@contextlib.contextmanager
def open_progress(
    plan: PlanSummary, console: Console | None = None, clock: Callable[[], float] = time.time
) -> Iterator[ProgressView]:
    """Show progress until the block ends: a live view in a terminal, else lines.

    rich respects NO_COLOR and TERM=dumb. ``clock`` returns Unix time, as in the events.
    """
    console = console or Console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainView(console)
        return
    view = LiveView(plan, clock)
    with Live(console=console, get_renderable=view.render, refresh_per_second=4):
        yield view
