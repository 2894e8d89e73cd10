"""What the terminal shows of a rollout: what is known so far, and how it is drawn. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..evidence.counts import Counts
from ..runner.events import VERDICTS, Event, EventKind, EvidenceValues, total
from . import formats
from .markup import printable
from .plan_summary import PlanSummary
from .samples import Sample

_BAR: Final = 30
_NOTHING: Final = Counts(0, 0)
_STYLES: Final = {
    EventKind.PROMOTED: "bold green",
    EventKind.ROLLED_BACK: "bold red",
    EventKind.FAILED: "bold red",
    EventKind.INCONCLUSIVE: "bold yellow",
    EventKind.HELD: "yellow",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was told so far; replaced as a whole, so that another thread may draw it."""

    since: float | None = None
    number: int = 0
    share: float | None = None
    stable: Counts = _NOTHING
    canary: Counts = _NOTHING
    window: tuple[Counts, Counts] | None = None
    evidence: EvidenceValues | None = None
    thresholds: EvidenceValues | None = None
    told: Event | None = None
    sample: Sample | None = None

    def after(self, event: Event) -> Seen:
        """Return what is known after an event."""
        seen = replace(
            self,
            since=event.time if self.since is None else self.since,
            number=self.number if event.number is None else event.number,
            share=self._share_after(event),
            evidence=event.evidence or self.evidence,
            thresholds=event.thresholds or self.thresholds,
        )
        if event.kind is not EventKind.WINDOW:
            return replace(seen, told=event)
        stable, canary = event.stable or _NOTHING, event.canary or _NOTHING
        return replace(
            seen,
            stable=total(each for each in (self.stable, stable) if each.requests or each.slow),
            canary=total(each for each in (self.canary, canary) if each.requests or each.slow),
            window=(stable, canary),
        )

    def _share_after(self, event: Event) -> float | None:
        # A window has a share only if it was desired all through it; the step has it still.
        if event.step is None or event.kind is EventKind.WINDOW:
            return self.share if event.share is None else event.share
        return event.share

    def with_sample(self, sample: Sample) -> Seen:
        """Return what is known after another second."""
        return replace(self, sample=sample)


def describe(event: Event, since: float) -> str:
    """Say an event in one line, its time from the start first."""
    words = [formats.clock(event.time - since), event.kind.value.replace("_", " ")]
    if event.step is not None:
        known = event.share is not None and event.kind is not EventKind.WINDOW
        share = f" ({formats.percent(event.share or 0)} to the canary)" if known else ""
        words.append(event.step + share)
    if event.kind is EventKind.WINDOW and event.stable and event.canary:
        words += [
            f"{name} {counts.failures}/{counts.requests} failed"
            for name, counts in (("stable", event.stable), ("canary", event.canary))
        ]
    if event.evidence is not None:
        evidence = event.evidence
        words += [f"{kind} {_brief(getattr(evidence, kind))}" for kind in ("harm", "merit")]
    why = ": ".join(filter(None, (event.reason, event.detail)))
    line = "  ".join([*words, why] if why else words)
    return printable(line).replace("\n", " ").replace("\u00a0", " ")


def draw(seen: Seen, about: PlanSummary, now: float) -> RenderableType:
    """Draw the whole view for a terminal of 80 columns or more."""
    return Group(*_parts(seen, about, now))


def _parts(seen: Seen, about: PlanSummary, now: float) -> Iterator[RenderableType]:
    took = formats.clock(max(0.0, now - seen.since)) if seen.since is not None else "0:00"
    yield Text.assemble(
        (_safe(f"{about.namespace}/{about.rollout}"), "bold"),
        ("  ", ""),
        (_safe(about.stable), "blue"),
        (" to ", "dim"),
        (_safe(about.canary), "dark_orange"),
        (f"  {took}", "bold"),
        (f" of {formats.clock(about.deadline_seconds)} at most", "dim"),
    )
    yield Text()
    yield _plan(seen, about)
    yield Text()
    yield _split(seen)
    yield Text()
    yield _releases(seen)
    yield Text()
    if seen.evidence is not None and seen.thresholds is not None:
        yield _evidence(seen.evidence, seen.thresholds)
        yield Text()
    if seen.told is not None and seen.since is not None:
        yield Text(describe(seen.told, seen.since), style=_STYLES.get(seen.told.kind, ""))


def _plan(seen: Seen, about: PlanSummary) -> Text:
    """Draw the steps by their shares, as their names would be too long; the current one's, too."""
    line = Text("  ")
    done = seen.told is not None and seen.told.kind in VERDICTS
    current = ""
    for number, step in enumerate(about.steps):
        mark, style = ("✓", "green") if number < seen.number else ("·", "dim")
        name = _safe(step.name)
        if number == seen.number:
            mark, style, current = ("■" if done else "▶"), "bold", name
        label = name if step.share is None else formats.percent(step.share)
        # What belongs together isn't torn apart where a line ends.
        line.append(f"{mark}\u00a0{label}".replace(" ", "\u00a0"), style=style)
        line.append("  ")
    return line.append(f" {current}", style="dim")


def _split(seen: Seen) -> Table:
    grid = _grid()
    if seen.share is not None:
        grid.add_row("desired", _bar(seen.share, "white"), _plain(formats.percent(seen.share)))
    if seen.window is not None:
        every = sum(counts.requests for counts in seen.window)
        share = seen.window[1].requests / every if every else 0.0
        label = formats.percent(share) if every else "no requests"
        grid.add_row("observed", _bar(share, "dark_orange"), _plain(label))
    return grid


def _releases(seen: Seen) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="dim")
    table.add_column("")
    for head in ("requests", "failed", "", "p50", "p99"):
        table.add_column(head, justify="right")
    for name, counts, style in (
        ("stable", seen.stable, "blue"),
        ("canary", seen.canary, "dark_orange"),
    ):
        side = getattr(seen.sample, name) if seen.sample else None
        times = [None, None] if side is None else [side.p50_ms, side.p99_ms]
        table.add_row(
            Text(name, style=style),
            formats.count(counts.requests),
            formats.count(counts.failures),
            _plain(formats.ratio(counts.failures, counts.requests)) if counts.requests else "",
            *("" if each is None else _plain(formats.milliseconds(each)) for each in times),
        )
    return table


def _evidence(evidence: EvidenceValues, need: EvidenceValues) -> Table:
    grid = _grid()
    kinds = [("harm", "red"), ("merit", "green"), ("breach", "red"), ("mismatch", "yellow")]
    for kind, style in kinds:
        value, enough = getattr(evidence, kind), getattr(need, kind)
        if kind in {"harm", "merit"} or value > 1:
            part = math.log(value) / math.log(enough) if value > 0 and enough > 1 else 0.0
            label = f"{_brief(value)} of {formats.evidence(enough)}"
            grid.add_row(kind, _bar(part, style), _plain(label))
    return grid


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10, style="dim", justify="right")
    grid.add_column(width=_BAR)
    grid.add_column()
    return grid


def _bar(part: float, style: str) -> Text:
    filled = round(min(max(part, 0.0), 1.0) * _BAR)
    return Text.assemble(("━" * filled, style), ("·" * (_BAR - filled), "dim"))


def _brief(value: float) -> str:
    return formats.evidence(value).replace("less than", "<").replace("more than a million", "> 1e6")


def _plain(text: str) -> Text:
    return Text(text.replace("\u00a0", " "))


def _safe(text: str) -> str:
    return printable(text).replace("\n", " ")
