"""One chart's sheet: its frame, its lines, and labels at the ends of them, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .formats import clock
from .markup import Markup, element
from .scales import Scale, spread, time_ticks

#: Pixels between two labels' baselines.
LINE: Final = 15
TOP: Final = 18
BOTTOM: Final = 24
#: Samples are a second each; further apart, there was nothing between them.
_GAP_SECONDS: Final = 1.5

Point = tuple[float, float | None]
#: From when, until when, which value.
Hold = tuple[float, float, float | None]


@dataclass(frozen=True, slots=True)
class Format:
    """A chart is drawn twice, for wide and narrow screens: scaled down, its text is too small."""

    name: str
    width: int
    height: int
    left: int
    right: int
    spans: int
    time_ticks: int

    @property
    def wide(self) -> bool:
        return self.name == "wide"


WIDE: Final = Format("wide", 1040, 220, 56, 166, 90, 10)
NARROW: Final = Format("narrow", 358, 220, 46, 102, 36, 4)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all charts of a report share: the time axis, the steps, and the decision."""

    since: float
    until: float
    steps: tuple[tuple[float, str], ...]
    decided: float | None
    verdict: str

    def scale(self, form: Format) -> Scale:
        # A rollout that ended as it began still needs an axis.
        until = max(self.until, self.since + 1)
        return Scale(self.since, until, form.left, form.width - form.right)


class Sheet:
    """Draws upwards from the frame; ``label`` reads the chart to those who don't see it."""

    def __init__(self, frame: Frame, form: Format, y: Scale, label: str) -> None:
        self.x = frame.scale(form)
        self.y = y
        self._frame = frame
        self._form = form
        self._label = label
        self._shapes: list[Markup] = []
        self._ends: list[tuple[float, str, str]] = []
        self._draw_times()

    def grid(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Draw the values' lines, their numbers at the left."""
        form = self._form
        for value, text in ticks:
            y = self.y(value)
            self._line(form.left, y, form.width - form.right, y, "grid")
            self.text(form.left - 7, y + 4, text, "axis", anchor="end")

    def curve(self, points: Sequence[Point], name: str, label: str = "") -> None:
        """Draw a line, broken where there is no value; its label stands at its end."""
        commands, pen, last = [], "M", None
        for at, value in points:
            if value is None or not math.isfinite(value):
                pen = "M"
                continue
            commands.append(f"{pen}{self.x(at):.1f} {self.y(value):.1f}")
            pen, last = "L", value
            lone = (at, value)
        if last is None:
            return
        if len(commands) == 1:
            self.dot(*lone, name)
        self._shapes.append(element("path", d="".join(commands), class_=f"line {name}"))
        if label:
            self._ends.append((self.y(last) + 4, label, name))

    def stairs(self, holds: Sequence[Hold], name: str, label: str) -> None:
        """Draw a line that jumps: each value holds over its time; where none does, it is broken."""
        points: list[Point] = []
        for since, until, value in holds:
            if points and since - points[-1][0] > _GAP_SECONDS:
                points.append((since, None))
            points += [(since, value), (until, value)]
        self.curve(points, name, label)

    def level(self, value: float, name: str, label: str, *, above: bool = True) -> None:
        """Draw a threshold across, its label on it at the left."""
        form, y = self._form, self.y(value)
        self._line(form.left, y, form.width - form.right, y, f"level {name}")
        self.text(form.left + 6, y - 5 if above else y + 14, label, f"note {name}")

    def dot(self, at: float, value: float, name: str) -> None:
        self._shapes.append(
            element("circle", cx=self.x(at), cy=self.y(value), r=4.5, class_=f"dot {name}")
        )

    def text(self, x: float, y: float, text: str, name: str, *, anchor: str = "start") -> None:
        self._shapes.append(element("text", text, x=x, y=y, class_=name, text_anchor=anchor))

    def name_steps(self) -> None:
        """Write each step's name above the time it begins, as far as there is room."""
        free = -math.inf
        end = self._form.width
        for at, name in self._frame.steps:
            x = self.x(at)
            width = 6.4 * len(name) + 10
            if x >= free and x + width <= end:
                self.text(x + 4, TOP - 6, name, "axis")
                free = x + width

    def markup(self) -> Markup:
        form = self._form
        if self._frame.decided is not None:
            x = self.x(self._frame.decided)
            self._line(x, TOP, x, form.height - BOTTOM, f"decision {self._frame.verdict}")
        places = spread([y for y, _, _ in self._ends], LINE, TOP + 4, form.height - BOTTOM)
        for y, (_, label, name) in zip(places, self._ends, strict=True):
            self.text(form.width - form.right + 8, y, label, f"end {name}")
        return element(
            "svg",
            *self._shapes,
            viewBox=f"0 0 {form.width} {form.height}",
            class_=f"chart {form.name}",
            role="img",
            aria_label=self._label,
        )

    def _draw_times(self) -> None:
        form, frame = self._form, self._frame
        floor = form.height - BOTTOM
        for at, _ in frame.steps:
            self._line(self.x(at), TOP, self.x(at), floor, "step")
        for seconds in time_ticks(self.x.high - self.x.low, form.time_ticks):
            x = self.x(frame.since + seconds)
            self._line(x, floor, x, floor + 4, "tick")
            self.text(x, floor + 17, clock(seconds), "axis", anchor="middle")

    def _line(self, x1: float, y1: float, x2: float, y2: float, name: str) -> None:
        self._shapes.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=name))


def values(form: Format, low: float, high: float, *, log: bool = False) -> Scale:
    """Return the scale of a chart's values, from its floor upwards."""
    return Scale(low, high, form.height - BOTTOM, TOP, log)
