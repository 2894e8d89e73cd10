"""One chart as inline SVG: axes, lines, thresholds, and labels at the ends of the lines. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .formats import elapsed
from .markup import Markup, element
from .scales import Scale, spread, time_ticks
from .timeline import Timeline

#: Pixels between the baselines of two labels.
_LABEL_GAP: Final = 15
_TOP: Final = 18
_BOTTOM: Final = 24
#: Samples are one second apart. A longer pause is a gap in the line.
_GAP_SECONDS: Final = 1.5

#: A time and its value.
Point = tuple[float, float | None]
#: Since when, until when, and the value between.
Interval = tuple[float, float, float | None]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes in pixels. A chart is drawn for wide and for narrow screens: scaling makes text small.

    ``bins`` and ``time_ticks`` are the most that the width has room for.
    """

    name: str
    width: int
    height: int
    left: int
    right: int
    bins: int
    time_ticks: int

    @property
    def wide(self) -> bool:
        return self.name == "wide"


WIDE: Final = Layout("wide", 1040, 220, 56, 166, 90, 10)
NARROW: Final = Layout("narrow", 358, 220, 46, 102, 36, 4)


class SvgChart:
    """Collects the shapes of one chart; ``label`` describes it to screen readers.

    The time axis, the steps and the decision are those of the timeline. The value axis goes from
    ``low`` to ``high``. A ``name`` is the CSS class of a shape.
    """

    def __init__(
        self,
        timeline: Timeline,
        layout: Layout,
        label: str,
        *,
        low: float = 0.0,
        high: float,
        log: bool = False,
    ) -> None:
        # A rollout that ended in the second it began still needs an axis.
        until = max(timeline.end, timeline.since + 1)
        self.x = Scale(timeline.since, until, layout.left, layout.width - layout.right)
        self.y = Scale(low, high, layout.height - _BOTTOM, _TOP, log)
        self._timeline = timeline
        self._layout = layout
        self._label = label
        self._shapes: list[Markup] = []
        self._end_labels: list[tuple[float, str, str]] = []
        self._add_time_axis()

    def add_grid(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Draw a horizontal line for each tick, with its text at the left."""
        layout = self._layout
        for value, text in ticks:
            y = self.y(value)
            self._add_segment(layout.left, y, layout.width - layout.right, y, "grid")
            self._add_text(layout.left - 7, y + 4, text, "axis", anchor="end")

    def add_line(self, points: Sequence[Point], name: str, label: str) -> None:
        """Draw a line with its label at its end; a missing or infinite value makes a gap."""
        commands, pen = [], "M"
        last: tuple[float, float] | None = None
        for at, value in points:
            if value is None or not math.isfinite(value):
                pen = "M"
                continue
            commands.append(f"{pen}{self.x(at):.1f} {self.y(value):.1f}")
            pen, last = "L", (at, value)
        if last is None:
            return
        if len(commands) == 1:
            self.add_dot(*last, name)
        self._shapes.append(element("path", d="".join(commands), class_=f"line {name}"))
        self._end_labels.append((self.y(last[1]) + 4, label, name))

    def add_steps(self, intervals: Sequence[Interval], name: str, label: str) -> None:
        """Draw a line that is constant in each interval."""
        points: list[Point] = []
        for since, until, value in intervals:
            if points and since - points[-1][0] > _GAP_SECONDS:
                points.append((since, None))
            points += [(since, value), (until, value)]
        self.add_line(points, name, label)

    def add_threshold(self, value: float, name: str, label: str, *, above: bool = True) -> None:
        """Draw a horizontal line with its label above or below it, at the left."""
        layout, y = self._layout, self.y(value)
        self._add_segment(layout.left, y, layout.width - layout.right, y, f"level {name}")
        self._add_text(layout.left + 6, y - 5 if above else y + 14, label, f"note {name}")

    def add_dot(self, at: float, value: float, name: str) -> None:
        self._shapes.append(
            element("circle", cx=self.x(at), cy=self.y(value), r=4.5, class_=f"dot {name}")
        )

    def add_step_names(self) -> None:
        """Write each step's name above its beginning, where there is room."""
        free = -math.inf
        for period in self._timeline.periods:
            x = self.x(period.since)
            width = 6.4 * len(period.name) + 10
            if x >= free and x + width <= self._layout.width:
                self._add_text(x + 4, _TOP - 6, period.name, "axis")
                free = x + width

    def render(self) -> Markup:
        layout = self._layout
        floor = layout.height - _BOTTOM
        if decision := self._timeline.decision:
            x = self.x(decision.time)
            self._add_segment(x, _TOP, x, floor, f"decision {decision.kind.value}")
        places = spread([y for y, _, _ in self._end_labels], _LABEL_GAP, _TOP + 4, floor)
        for y, (_, label, name) in zip(places, self._end_labels, strict=True):
            self._add_text(layout.width - layout.right + 8, y, label, f"end {name}")
        return element(
            "svg",
            *self._shapes,
            viewBox=f"0 0 {layout.width} {layout.height}",
            class_=f"chart {layout.name}",
            role="img",
            aria_label=self._label,
        )

    def _add_time_axis(self) -> None:
        floor = self._layout.height - _BOTTOM
        for period in self._timeline.periods:
            x = self.x(period.since)
            self._add_segment(x, _TOP, x, floor, "step")
        for seconds in time_ticks(self.x.high - self.x.low, self._layout.time_ticks):
            x = self.x(self._timeline.since + seconds)
            self._add_segment(x, floor, x, floor + 4, "tick")
            self._add_text(x, floor + 17, elapsed(seconds), "axis", anchor="middle")

    def _add_segment(self, x1: float, y1: float, x2: float, y2: float, name: str) -> None:
        self._shapes.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=name))

    def _add_text(self, x: float, y: float, text: str, name: str, *, anchor: str = "start") -> None:
        self._shapes.append(element("text", text, x=x, y=y, class_=name, text_anchor=anchor))
