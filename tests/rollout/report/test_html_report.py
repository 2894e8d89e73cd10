"""The page is well-formed and self-contained, and names in it are only text."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from rollout.report.html_report import render_html
from rollout.report.plan_summary import PlannedStep
from rollout.runner.events import EventKind
from tests.rollout.report.simulated_rollout import (
    START,
    SimulatedRollout,
    plan_summary,
    simulate_rollout,
)

HOSTILE = "<script>alert('x')</script>\"&\x1b[31m"

ROLLOUTS = {
    "promoted": simulate_rollout(),
    "rolled back": simulate_rollout(failing=0.08),
    "slow": simulate_rollout(slow=0.05),
    "inconclusive": simulate_rollout(rate=2, last=EventKind.INCONCLUSIVE),
    "running": simulate_rollout(last=EventKind.WINDOW),
    "silent": simulate_rollout(rate=0, last=EventKind.INCONCLUSIVE),
}


def page_of(rollout: SimulatedRollout) -> ET.Element:
    text = render_html(rollout.events, rollout.samples, rollout.plan)
    doctype, _, rest = text.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ET.fromstring(rest)  # noqa: S314 - our own page


def text_of(page: ET.Element, tag: str) -> str:
    found = page.find(f".//{tag}")
    assert found is not None
    return "".join(found.itertext()).replace("\u00a0", " ")


@pytest.mark.parametrize("rollout", ROLLOUTS.values(), ids=ROLLOUTS)
def test_every_page_is_well_formed_and_draws_each_chart_for_both_screens(
    rollout: SimulatedRollout,
) -> None:
    page = page_of(rollout)

    charts = [each.get("class") for each in page.iter("svg")]
    assert charts == ["chart wide", "chart narrow"] * 4


@pytest.mark.parametrize("rollout", ROLLOUTS.values(), ids=ROLLOUTS)
def test_nothing_is_fetched_and_nothing_is_run(rollout: SimulatedRollout) -> None:
    text = render_html(rollout.events, rollout.samples, rollout.plan)

    assert not re.search(
        r"(?i)https?:|//[a-z]|url\(|@import|<(script|link|img|iframe|object)", text
    )
    attributes = {name for each in page_of(rollout).iter() for name in each.attrib}
    assert not {name for name in attributes if name.startswith("on") or name in {"href", "src"}}


@pytest.mark.parametrize("rollout", ROLLOUTS.values(), ids=ROLLOUTS)
def test_no_line_leaves_its_chart(rollout: SimulatedRollout) -> None:
    for chart in page_of(rollout).iter("svg"):
        _, _, width, height = map(float, chart.attrib["viewBox"].split())
        for path in chart.iter("path"):
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", path.attrib["d"])]
            assert all(0 <= x <= width for x in numbers[::2])
            assert all(0 <= y <= height for y in numbers[1::2])


@pytest.mark.parametrize("rollout", ROLLOUTS.values(), ids=ROLLOUTS)
def test_labels_do_not_overlap(rollout: SimulatedRollout) -> None:
    for chart in page_of(rollout).iter("svg"):
        ends = [each for each in chart.iter("text") if each.attrib["class"].startswith("end ")]
        heights = sorted(float(each.attrib["y"]) for each in ends)
        assert all(later - sooner >= 14.8 for sooner, later in zip(heights, heights[1:]))  # noqa: RUF007, B905 - plain pairs


def test_a_rollback_is_reported_with_its_step_and_numbers() -> None:
    page = page_of(ROLLOUTS["rolled back"])

    assert text_of(page, "h1") == "Rolled back at canary-05 after 2 min 10 s"
    assert text_of(page, "header/p[@class='lead']") == (
        "4 of 62 requests to 1.5.0 failed (6.5 %), 8 of 7,718 to 1.4.0 (0.1 %);"
        " evidence of harm: 233 (100 needed)."
    )
    judged = page.find(".//tr[@class='judged']")
    assert judged is not None
    assert "".join(judged.itertext()).startswith("canary-05")


def test_a_slow_canary_is_reported_with_the_latency_edge() -> None:
    lead = text_of(page_of(ROLLOUTS["slow"]), "header/p[@class='lead']")

    assert "failed or took over 250 ms" in lead


@pytest.mark.parametrize(
    ("reason", "detail", "words"),
    [
        ("aborted", "somebody ordered it", "Somebody ordered it: 4 of 62"),
        ("deadline", "the plan's time was up", "The plan's time was up: 4 of 62"),
    ],
)
def test_the_reason_in_words_comes_before_the_numbers(reason: str, detail: str, words: str) -> None:
    plain = ROLLOUTS["rolled back"]
    *before, last = plain.events
    ended = replace(last, reason=reason, detail=detail)

    page = page_of(replace(plain, events=[*before, ended]))

    assert text_of(page, "header/p[@class='lead']").startswith(words)


def test_a_line_has_a_gap_where_nothing_was_counted() -> None:
    plain = ROLLOUTS["inconclusive"]
    without = [each for each in plain.samples if not 60 <= each.time - START < 180]

    page = page_of(replace(plain, samples=without))

    observed = page.findall(".//svg[@class='chart wide']/path[@class='line canary']")[0]
    assert observed.attrib["d"].count("M") == 2


def test_without_requests_no_ratio_is_shown() -> None:
    page = page_of(ROLLOUTS["silent"])

    lead = text_of(page, "header/p[@class='lead']")
    assert lead.startswith("The plan's time was up: no request to 1.5.0 was counted, 0 to 1.4.0")
    assert "0 %" not in text_of(page, "dl")


def test_hostile_names_are_only_text() -> None:
    plain = ROLLOUTS["rolled back"]
    names = plan_summary(
        rollout=HOSTILE,
        namespace=HOSTILE,
        canary=HOSTILE,
        stable=HOSTILE,
        strategy=HOSTILE,
        source=HOSTILE,
        not_rehearsed=(HOSTILE,),
        steps=(PlannedStep(HOSTILE, None),),
    )
    events = [
        replace(each, step=each.step and HOSTILE, reason=HOSTILE, detail=HOSTILE)
        for each in plain.events
    ]

    text = render_html(events, plain.samples, names)

    assert "<script" not in text
    assert "\x1b" not in text
    assert (
        text_of(page_of(SimulatedRollout(events, plain.samples, names)), "h1").count("alert('x')")
        == 1
    )


def test_without_samples_the_evidence_is_still_drawn() -> None:
    rollout = replace(ROLLOUTS["promoted"], samples=[])

    assert len(list(page_of(rollout).iter("svg"))) == 2


def test_a_log_without_events_is_refused() -> None:
    with pytest.raises(ValueError, match="no events"):
        render_html([], [], plan_summary())
