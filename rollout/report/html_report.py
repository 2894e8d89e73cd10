"""The report as one HTML file: nothing is fetched, nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..evidence.counts import Counts
from ..runner.events import Event, EventKind
from . import formats
from .charts import build_frame, draw_errors, draw_evidence, draw_latency, draw_split
from .markup import Markup, element, join
from .plan_summary import PlanSummary
from .samples import Sample
from .stylesheet import STYLE
from .svg_chart import NARROW, WIDE, Format
from .timeline import Story, headline, sentence, tell


def render_html(events: Sequence[Event], samples: Sequence[Sample], about: PlanSummary) -> str:
    """Render a page that is well-formed XML too; raise ValueError without events."""
    story = tell(events)
    title = headline(story)
    verdict = story.verdict.value if story.verdict else "running"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{about.rollout}: {title}"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        _header(story, about, title),
        *_charts(story, samples, about),
        _steps(story),
        _edges(story, about),
        _log(story),
        element("div", _plan(about), _rehearsed(about), class_="columns"),
        _reading(about),
        element("footer", _origin(story, about)),
        class_=verdict,
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(story: Story, about: PlanSummary, title: str) -> Markup:
    return element(
        "header",
        element(
            "p",
            f"{about.namespace}/{about.rollout} · {about.strategy} of ",
            element("span", about.canary, class_="key canary"),
            " beside ",
            element("span", about.stable, class_="key stable"),
            " · ",
            element("span", formats.moment(story.since), class_="one"),
            class_="over",
        ),
        element("h1", title),
        element("p", sentence(story, about), class_="lead"),
        _facts(story),
    )


def _facts(story: Story) -> Markup:
    def fact(name: str, value: str, more: str) -> Markup:
        return element("div", element("dt", name), element("dd", value, element("small", more)))

    def side(name: str, counts: Counts) -> Markup:
        failed = f"of {formats.count(counts.requests, 'request')} failed"
        return fact(name, formats.ratio(counts.failures, counts.requests), failed)

    evidence, need = story.evidence, story.thresholds

    def enough(kind: str) -> str:
        return "so far" if need is None else f"{formats.evidence(getattr(need, kind))} is enough"

    return element(
        "dl",
        side("Canary", story.canary),
        side("Stable", story.stable),
        fact("Evidence of harm", _short(evidence.harm), enough("harm")),
        fact("Evidence of merit", _short(evidence.merit), enough("merit")),
        class_="facts",
    )


def _short(value: float) -> str:
    text = formats.evidence(value)
    return {"more than a million": ">\u00a01,000,000", "less than 0.01": "<\u00a00.01"}.get(
        text, text
    )


def _charts(story: Story, samples: Sequence[Sample], about: PlanSummary) -> Iterator[Markup]:
    frame = build_frame(story)

    def chart(title: str, what: str, draw: Callable[[Format], str]) -> Markup:
        return element(
            "section",
            element("h2", title),
            element("p", what, class_="what"),
            draw(WIDE),
            draw(NARROW),
        )

    yield chart(
        "Evidence",
        "How strongly the requests speak, on a logarithmic scale: 1 says nothing. Times count from"
        " the start.",
        lambda form: draw_evidence(frame, form, story),
    )
    if not samples:
        return
    yield chart(
        "Split",
        "Share of the requests that went to the canary.",
        lambda form: draw_split(frame, form, story, samples),
    )
    yield chart(
        "Errors",
        "Share of requests that were answered with 5xx or not at all.",
        lambda form: draw_errors(frame, form, story, samples, about),
    )
    yield chart(
        "Latency",
        "Median (thin) and 99th percentile (bold) of each release, on a logarithmic scale.",
        lambda form: draw_latency(frame, form, samples),
    )


def _steps(story: Story) -> Markup:
    def row(place: int) -> Markup:
        stage = story.stages[place]
        judged = story.decision is not None and stage is story.last
        cells = (
            stage.name,
            "by request" if stage.share is None else formats.percent(stage.share),
            formats.duration(stage.until - stage.since),
            formats.count(stage.canary.requests),
            _failed(stage.canary),
            formats.count(stage.stable.requests),
            _failed(stage.stable),
        )
        markup = [
            element("td", cell, class_="long") if index in _LONG else element("td", cell)
            for index, cell in enumerate(cells)
        ]
        return element("tr", *markup, **({"class_": "judged"} if judged else {}))

    names = ("Step", "Share", "For", "Canary", "Canary failed", "Stable", "Stable failed")
    heads = [
        element("th", name, class_="long") if index in _LONG else element("th", name)
        for index, name in enumerate(names)
    ]
    return element(
        "section",
        element("h2", "Steps"),
        element(
            "p",
            "Requests that were evidence, step by step. In bold: where it was decided.",
            class_="what",
        ),
        element(
            "div",
            element(
                "table",
                element("thead", element("tr", *heads)),
                element("tbody", *(row(place) for place in range(len(story.stages)))),
            ),
            class_="scroll",
        ),
    )


#: Columns that a phone has no room for.
_LONG = frozenset({2, 5})


def _failed(counts: Counts) -> Markup:
    if not counts.requests:
        return join("no data")
    whole = formats.ratio(counts.failures, counts.requests)
    return join(f"{formats.count(counts.failures)} ", element("small", f"({whole})"))


def _edges(story: Story, about: PlanSummary) -> Markup:
    edges = about.objective.slow_seconds
    old, new, told = story.stable.slow, story.canary.slow, story.evidence.harm_slow
    if not edges or not len(edges) == len(old) == len(new):
        return Markup("")
    rows = [
        element(
            "tr",
            element("td", f"over {formats.milliseconds(edge * 1000)}"),
            element("td", formats.ratio(old[place], story.stable.requests)),
            element("td", formats.ratio(new[place], story.canary.requests)),
            element("td", _short(told[place]) if len(told) == len(edges) else "unknown"),
        )
        for place, edge in enumerate(edges)
    ]
    names = ("Failed or took", "stable", "canary", "evidence of harm")
    return element(
        "section",
        element("h2", "Slow answers"),
        element("p", "Share of requests beyond each latency edge of the plan.", class_="what"),
        element(
            "table",
            element("thead", element("tr", *(element("th", name) for name in names))),
            element("tbody", *rows),
        ),
    )


def _log(story: Story) -> Markup:
    def line(event: Event) -> Markup:
        share = "" if event.share is None else f" ({formats.percent(event.share)} to the canary)"
        place = f"{event.step}{share}" if event.step else ""
        words = [place, event.reason, event.detail]
        return element(
            "li",
            element("time", formats.clock(event.time - story.since)),
            element("b", event.kind.value.replace("_", " ")),
            element("span", ": ".join(filter(None, words))),
        )

    told = [event for event in story.events if event.kind is not EventKind.WINDOW]
    return element(
        "section",
        element("h2", "What happened"),
        element("ol", *map(line, told), class_="log"),
    )


def _plan(about: PlanSummary) -> Markup:
    objective = about.objective
    steps = [
        element(
            "li",
            step.name if step.share is None else f"{step.name}: {formats.percent(step.share)}",
        )
        for step in about.steps
    ]
    return element(
        "section",
        element("h2", "The plan"),
        element(
            "p",
            f"At most {formats.percent(objective.error_ratio)} of the requests may fail. Each step"
            f" takes {formats.duration(about.step_seconds)} or longer, all of them"
            f" {formats.duration(about.deadline_seconds)} at most.",
        ),
        element("ol", *steps),
    )


def _rehearsed(about: PlanSummary) -> Markup:
    if not about.not_rehearsed:
        return Markup("")
    return element(
        "section",
        element("h2", "What was not rehearsed"),
        element("p", "Only a cluster shows these.", class_="what"),
        element("ul", *(element("li", each) for each in about.not_rehearsed)),
    )


def _reading(about: PlanSummary) -> Markup:
    objective = about.objective
    fair = """Both releases are compared over the same time, so what hurts both, as a database that
        is down, is no evidence against either. A request counts once, however often it was tried.
        """
    sure = f"""Evidence is an e-value: the factor by which a bet against the claim would have grown.
        It may be looked at any time, as often as one likes. A canary as good as stable is rolled
        back with a chance of {formats.percent(objective.false_rollback)} at most, over the whole
        rollout; one that fails {formats.percent(objective.error_ratio)} of its requests or more is
        promoted with a chance of {formats.percent(objective.false_promotion)} at most."""
    none = """Where there are no requests there is no evidence, for or against: the step waits. A
        curve's single points are a few requests each and jump about; the sums decide.
        What is far beyond all that decides is drawn at a chart's border."""
    return element(
        "section",
        element("h2", "How to read this"),
        *(element("p", " ".join(text.split())) for text in (fair, sure, none)),
    )


def _origin(story: Story, about: PlanSummary) -> str:
    source = f" Evidence from {about.source}." if about.source else ""
    return f"From {formats.moment(story.since)} to {formats.moment(story.until)}.{source}"
