"""Render a rollout for the terminal: a line per event, or a view of the progress so far. Pure."""

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
from ..runner.reasons import describe_missing_requests
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
class Progress:
    """What the events have shown so far. Immutable, so that another thread may render it."""

    since: float | None = None
    number: int = 0
    share: float | None = None
    stable: Counts = _NOTHING
    canary: Counts = _NOTHING
    window: tuple[Counts, Counts] | None = None
    evidence: EvidenceValues | None = None
    thresholds: EvidenceValues | None = None
    missing: str = ""
    last_event: Event | None = None
    sample: Sample | None = None

    def with_event(self, event: Event) -> Progress:
        """Return the progress after an event."""
        updated = replace(
            self,
            since=event.time if self.since is None else self.since,
            number=self.number if event.number is None else event.number,
            share=self._share_after(event),
            evidence=event.evidence or self.evidence,
            thresholds=event.thresholds or self.thresholds,
        )
        if event.kind is not EventKind.WINDOW:
            return replace(updated, last_event=event)
        stable, canary = event.stable or _NOTHING, event.canary or _NOTHING
        return replace(
            updated,
            stable=total(each for each in (self.stable, stable) if each.requests or each.slow),
            canary=total(each for each in (self.canary, canary) if each.requests or each.slow),
            window=(stable, canary),
            missing=_missing(event),
        )

    def _share_after(self, event: Event) -> float | None:
        # A window has no share if the weights changed within it; the desired share stays.
        if event.step is None or event.kind is EventKind.WINDOW:
            return self.share if event.share is None else event.share
        return event.share

    def with_sample(self, sample: Sample) -> Progress:
        """Return the progress after another second."""
        return replace(self, sample=sample)


def event_line(event: Event, since: float, thresholds: EvidenceValues | None = None) -> str:
    """Render an event as one line: time since the start, kind, step, counts, evidence, reason."""
    words = [formats.elapsed(event.time - since), event.kind.value.replace("_", " ")]
    if event.step is not None:
        known = event.share is not None and event.kind is not EventKind.WINDOW
        share = f" ({formats.percent(event.share or 0)} to the canary)" if known else ""
        words.append(event.step + share)
    if event.kind is EventKind.WINDOW and event.stable and event.canary:
        words += [
            f"{name} {counts.failures}/{counts.requests} failed"
            for name, counts in (("stable", event.stable), ("canary", event.canary))
        ]
        if beside := event.baseline:
            words[-2] += f" (baseline {beside.failures}/{beside.requests})"
    if event.evidence is not None:
        evidence = (_evidence_text(kind, event.evidence, thresholds) for kind in ("harm", "merit"))
        missing = _missing(event) if event.kind is EventKind.STEP else ""
        words.append(" · ".join(evidence) + (f" ({missing})" if missing else ""))
    why = ": ".join(filter(None, (event.reason, event.detail)))
    line = "  ".join([*words, why] if why else words)
    return printable(line).replace("\n", " ").replace("\u00a0", " ")


def render_progress(progress: Progress, plan: PlanSummary, now: float) -> RenderableType:
    """Render the whole view, for a terminal of 80 columns or more; ``now`` is Unix time."""
    return Group(*_parts(progress, plan, now))


def _parts(progress: Progress, plan: PlanSummary, now: float) -> Iterator[RenderableType]:
    took = formats.elapsed(max(0.0, now - progress.since)) if progress.since is not None else "0:00"
    yield Text.assemble(
        (_safe(f"{plan.namespace}/{plan.rollout}"), "bold"),
        ("  ", ""),
        (_safe(plan.stable), "blue"),
        (" to ", "dim"),
        (_safe(plan.canary), "dark_orange"),
        (f"  {took}", "bold"),
        (f" (deadline {formats.elapsed(plan.deadline_seconds)})", "dim"),
    )
    yield Text()
    yield _steps(progress, plan)
    yield Text()
    yield _split(progress)
    yield Text()
    yield _releases(progress)
    yield Text()
    if progress.evidence is not None and progress.thresholds is not None:
        yield _evidence(progress.evidence, progress.thresholds)
        if progress.missing:
            yield Text(f"{' ' * 12}a proof {progress.missing}", style="dim")
        yield Text()
    if progress.last_event is not None and progress.since is not None:
        yield Text(
            event_line(progress.last_event, progress.since, progress.thresholds),
            style=_STYLES.get(progress.last_event.kind, ""),
        )


def _steps(progress: Progress, plan: PlanSummary) -> Text:
    """Show each step by its share (names would be too long), and the current step's name."""
    line = Text("  ")
    done = progress.last_event is not None and progress.last_event.kind in VERDICTS
    current = ""
    for number, step in enumerate(plan.steps):
        mark, style = ("✓", "green") if number < progress.number else ("·", "dim")
        name = _safe(step.name)
        if number == progress.number:
            mark, style, current = ("■" if done else "▶"), "bold", name
        label = name if step.share is None else formats.percent(step.share)
        # Non-breaking spaces keep a mark and its label on one line.
        line.append(f"{mark}\u00a0{label}".replace(" ", "\u00a0"), style=style)
        line.append("  ")
    return line.append(f" {current}", style="dim")


def _split(progress: Progress) -> Table:
    grid = _grid()
    if progress.share is not None:
        grid.add_row(
            "desired", _bar(progress.share, "white"), _plain(formats.percent(progress.share))
        )
    if progress.window is not None:
        both = sum(counts.requests for counts in progress.window)
        share = progress.window[1].requests / both if both else 0.0
        label = formats.percent(share) if both else "no requests"
        grid.add_row("observed", _bar(share, "dark_orange"), _plain(label))
    return grid


def _releases(progress: Progress) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="dim")
    table.add_column("")
    for head in ("requests", "failed", "", "p50", "p99"):
        table.add_column(head, justify="right")
    for name, counts, style in (
        ("stable", progress.stable, "blue"),
        ("canary", progress.canary, "dark_orange"),
    ):
        sample = getattr(progress.sample, name) if progress.sample else None
        times = [None, None] if sample is None else [sample.p50_ms, sample.p99_ms]
        table.add_row(
            Text(name, style=style),
            formats.count(counts.requests),
            formats.count(counts.failures),
            _plain(formats.ratio(counts.failures, counts.requests)) if counts.requests else "",
            *("" if each is None else _plain(formats.milliseconds(each)) for each in times),
        )
    return table


def _evidence(evidence: EvidenceValues, thresholds: EvidenceValues) -> Table:
    """Show each e-value as a bar, on a logarithmic scale; a full bar is the threshold."""
    grid = _grid()
    kinds = [("harm", "red"), ("merit", "green"), ("breach", "red"), ("mismatch", "yellow")]
    for kind, style in kinds:
        value, needed = getattr(evidence, kind), getattr(thresholds, kind)
        if kind in {"harm", "merit"} or value > 1:
            part = math.log(value) / math.log(needed) if value > 0 and needed > 1 else 0.0
            label = f"{formats.e_value(value)}/{formats.e_value(needed)}"
            grid.add_row(kind, _bar(part, style), _plain(label))
    return grid


def _missing(event: Event) -> str:
    """Say how many more requests a proof takes; empty if there is one, or if it is unknown."""
    needed, seconds = event.requests_needed, event.seconds_needed
    if not needed:
        return ""
    return describe_missing_requests(needed, needed / seconds if seconds else 0.0)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10, style="dim", justify="right")
    grid.add_column(width=_BAR)
    grid.add_column()
    return grid


def _bar(part: float, style: str) -> Text:
    filled = round(min(max(part, 0.0), 1.0) * _BAR)
    return Text.assemble(("━" * filled, style), ("·" * (_BAR - filled), "dim"))


def _evidence_text(kind: str, evidence: EvidenceValues, thresholds: EvidenceValues | None) -> str:
    """Render "harm 0.9/100": the e-value and, if known, its threshold."""
    value = f"{kind} {formats.e_value(getattr(evidence, kind))}"
    return value if thresholds is None else f"{value}/{formats.e_value(getattr(thresholds, kind))}"


def _plain(text: str) -> Text:
    return Text(text.replace("\u00a0", " "))


def _safe(text: str) -> str:
    return printable(text).replace("\n", " ")
