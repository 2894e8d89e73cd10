"""The report as one HTML file: no script, nothing to fetch, well-formed XML. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..evidence.counts import Counts
from ..runner.events import Event, EventKind
from . import formats
from .charts import draw_errors, draw_evidence, draw_latency, draw_split
from .markup import Markup, element, join
from .plan_summary import PlanSummary
from .samples import Sample
from .stylesheet import STYLESHEET
from .svg_chart import NARROW, WIDE, Layout
from .timeline import StepPeriod, Timeline, build_timeline
from .verdict_text import headline, summary

#: Indexes of the steps table's columns that a phone has no room for.
_HIDDEN_ON_PHONES = frozenset({2, 5})


def render_html(events: Sequence[Event], samples: Sequence[Sample], plan: PlanSummary) -> str:
    """Render the page; raise ValueError without events."""
    timeline = build_timeline(events)
    title = headline(timeline)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{plan.rollout}: {title}"),
        element("style", Markup(STYLESHEET)),
    )
    body = element(
        "body",
        _header(timeline, plan, title),
        *_charts(timeline, samples, plan),
        _steps(timeline),
        _slow_requests(timeline, plan),
        _events(timeline),
        element("div", _plan(plan), _not_rehearsed(plan), class_="columns"),
        _explanation(plan),
        element("footer", _origin(timeline, plan)),
        class_=timeline.verdict.value if timeline.verdict else "running",
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(timeline: Timeline, plan: PlanSummary, title: str) -> Markup:
    return element(
        "header",
        element(
            "p",
            f"{plan.namespace}/{plan.rollout} · {plan.strategy} of ",
            element("span", plan.canary, class_="key canary"),
            " beside ",
            element("span", plan.stable, class_="key stable"),
            " · ",
            element("span", formats.timestamp(timeline.since), class_="one"),
            class_="over",
        ),
        element("h1", title),
        element("p", summary(timeline, plan), class_="lead"),
        _facts(timeline),
    )


def _facts(timeline: Timeline) -> Markup:
    def fact(name: str, value: str, more: str) -> Markup:
        return element("div", element("dt", name), element("dd", value, element("small", more)))

    def failed(name: str, counts: Counts) -> Markup:
        of = f"of {formats.count(counts.requests, 'request')} failed"
        return fact(name, formats.ratio(counts.failures, counts.requests), of)

    def evidence(kind: str) -> Markup:
        needed = "so far"
        if timeline.thresholds is not None:
            needed = f"{formats.e_value(getattr(timeline.thresholds, kind))} needed"
        value = formats.e_value(getattr(timeline.evidence, kind))
        return fact(f"Evidence of {kind}", value, needed)

    return element(
        "dl",
        failed("Canary", timeline.canary),
        failed("Stable", timeline.stable),
        evidence("harm"),
        evidence("merit"),
        class_="facts",
    )


def _charts(timeline: Timeline, samples: Sequence[Sample], plan: PlanSummary) -> Iterator[Markup]:
    def chart(title: str, caption: str, draw: Callable[[Layout], str]) -> Markup:
        return _section(title, caption, draw(WIDE), draw(NARROW))

    yield chart(
        "Evidence",
        "E-values, on a logarithmic scale: 1 is no evidence. Times count from the start.",
        lambda layout: draw_evidence(timeline, layout),
    )
    if not samples:
        return
    yield chart(
        "Traffic split",
        "Share of the requests that went to the canary.",
        lambda layout: draw_split(timeline, layout, samples),
    )
    yield chart(
        "Errors",
        "Share of the requests that were answered with 5xx or not at all.",
        lambda layout: draw_errors(timeline, layout, samples, plan),
    )
    yield chart(
        "Latency",
        "Median (thin) and 99th percentile (bold) of each release, on a logarithmic scale.",
        lambda layout: draw_latency(timeline, layout, samples),
    )


def _steps(timeline: Timeline) -> Markup:
    def cells(tag: str, values: Sequence[str]) -> list[Markup]:
        return [
            element(tag, value, **({"class_": "long"} if index in _HIDDEN_ON_PHONES else {}))
            for index, value in enumerate(values)
        ]

    def row(period: StepPeriod) -> Markup:
        values = (
            period.name,
            "by request" if period.share is None else formats.percent(period.share),
            formats.duration(period.until - period.since),
            formats.count(period.canary.requests),
            _failed(period.canary),
            formats.count(period.stable.requests),
            _failed(period.stable),
        )
        judged = timeline.decision is not None and period is timeline.judged
        return element("tr", *cells("td", values), **({"class_": "judged"} if judged else {}))

    names = ("Step", "Share", "Duration", "Canary", "Canary failed", "Stable", "Stable failed")
    table = _table(cells("th", names), map(row, timeline.periods))
    return _section(
        "Steps",
        "The requests of each step that are evidence. Bold: the step at which it was decided.",
        element("div", table, class_="scroll"),
    )


def _failed(counts: Counts) -> Markup:
    if not counts.requests:
        return join("no data")
    ratio = formats.ratio(counts.failures, counts.requests)
    return join(f"{formats.count(counts.failures)} ", element("small", f"({ratio})"))


def _slow_requests(timeline: Timeline, plan: PlanSummary) -> Markup:
    edges = plan.objective.slow_seconds
    stable, canary = timeline.stable, timeline.canary
    harm = timeline.evidence.harm_slow
    if not edges or not len(edges) == len(stable.slow) == len(canary.slow):
        return Markup("")

    def row(index: int) -> Markup:
        values = (
            f"over {formats.milliseconds(edges[index] * 1000)}",
            formats.ratio(stable.slow[index], stable.requests),
            formats.ratio(canary.slow[index], canary.requests),
            formats.e_value(harm[index]) if len(harm) == len(edges) else "unknown",
        )
        return element("tr", *(element("td", value) for value in values))

    names = ("Failed or took", "stable", "canary", "evidence of harm")
    return _section(
        "Slow requests",
        "Share of the requests beyond each latency edge of the plan.",
        _table([element("th", name) for name in names], map(row, range(len(edges)))),
    )


def _events(timeline: Timeline) -> Markup:
    def item(event: Event) -> Markup:
        share = "" if event.share is None else f" ({formats.percent(event.share)} to the canary)"
        step = f"{event.step}{share}" if event.step else ""
        return element(
            "li",
            element("time", formats.elapsed(event.time - timeline.since)),
            element("b", event.kind.value.replace("_", " ")),
            element("span", ": ".join(filter(None, (step, event.reason, event.detail)))),
        )

    shown = [event for event in timeline.events if event.kind is not EventKind.WINDOW]
    return _section("Events", None, element("ol", *map(item, shown), class_="log"))


def _plan(plan: PlanSummary) -> Markup:
    steps = [
        step.name if step.share is None else f"{step.name}: {formats.percent(step.share)}"
        for step in plan.steps
    ]
    return _section(
        "The plan",
        None,
        element(
            "p",
            f"At most {formats.percent(plan.objective.error_ratio)} of the requests may fail. Each"
            f" step lasts at least {formats.duration(plan.step_seconds)}, the whole rollout at most"
            f" {formats.duration(plan.deadline_seconds)}.",
        ),
        element("ol", *(element("li", step) for step in steps)),
    )


def _not_rehearsed(plan: PlanSummary) -> Markup:
    if not plan.not_rehearsed:
        return Markup("")
    items = element("ul", *(element("li", each) for each in plan.not_rehearsed))
    return _section("What was not rehearsed", "Only a cluster can show these.", items)


def _explanation(plan: PlanSummary) -> Markup:
    objective = plan.objective
    comparison = (
        "Both releases are compared over the same time. A fault that hurts both, such as a database"
        " that is down, is evidence against neither. A request counts once, however often it was"
        " retried."
    )
    e_values = (
        "Evidence is measured by e-values. An e-value is the factor by which a bet against a"
        " hypothesis has grown: harm bets against “the canary is as good as stable”, merit bets"
        " against “the canary misses the objective”. You may look at it at any time, as often as"
        " you like. A canary as good as stable is rolled back with a probability of at most"
        f" {formats.percent(objective.false_rollback)} over the whole rollout. A canary that fails"
        f" {formats.percent(objective.error_ratio)} of its requests or more is promoted with a"
        f" probability of at most {formats.percent(objective.false_promotion)}."
    )
    limits = (
        "Without requests there is no evidence for or against the canary, and the step waits. A"
        " single point of a curve comes from few requests and scatters; the sums decide. A value"
        " beyond a chart's range is drawn at its border."
    )
    paragraphs = (element("p", each) for each in (comparison, e_values, limits))
    return _section("How to read this report", None, *paragraphs)


def _origin(timeline: Timeline, plan: PlanSummary) -> str:
    source = f" Evidence from {plan.source}." if plan.source else ""
    since, until = formats.timestamp(timeline.since), formats.timestamp(timeline.until)
    return f"From {since} to {until}.{source}"


def _section(title: str, caption: str | None, *content: str) -> Markup:
    captions = [element("p", caption, class_="what")] if caption else []
    return element("section", element("h2", title), *captions, *content)


def _table(heads: Sequence[Markup], rows: Iterator[Markup]) -> Markup:
    return element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
    )
