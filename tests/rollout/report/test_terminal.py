"""A terminal gets a view that fits it; a log gets one line per event, without escape sequences."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from rollout.report.terminal import open_progress
from rollout.report.terminal_view import Progress, event_line, render_progress
from rollout.runner.events import EventKind
from tests.rollout.report.simulated_rollout import (
    START,
    SimulatedRollout,
    plan_summary,
    simulate_rollout,
)

HOSTILE = "\x1b]0;owned\x07[red]kv\n[/red]"


def console(*, terminal: bool, **more: Any) -> Console:
    return Console(
        file=io.StringIO(),
        width=80,
        force_terminal=terminal,
        color_system="256" if terminal else None,
        **more,
    )


def shown(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def drawn(rollout: SimulatedRollout, events: int | None = None) -> str:
    seen = Progress()
    for event in rollout.events[:events]:
        seen = seen.with_event(event)
    where = console(terminal=False)
    seen = seen.with_sample(rollout.samples[-1])
    where.print(render_progress(seen, rollout.plan, START + 130))
    return shown(where)


def test_a_log_gets_one_line_per_event() -> None:
    rollout = simulate_rollout(failing=0.08)
    where = console(terminal=False)

    with open_progress(rollout.plan, where) as progress:
        for event in rollout.events:
            progress.show_event(event)
        progress.show_sample(rollout.samples[0])

    lines = shown(where).splitlines()
    assert len(lines) == len(rollout.events)
    assert lines[0] == "0:00  started  canary-00 (0 % to the canary)"
    assert lines[-2].endswith("harm 233/100 · merit < 0.01/20")
    assert lines[-1] == "2:10  rolled back  canary-00 (0 % to the canary)  harm"
    assert "\x1b" not in shown(where)


def test_the_view_has_the_numbers_that_decide() -> None:
    text = drawn(simulate_rollout(failing=0.08))

    for words in ("shop/kv", "1.4.0 to 1.5.0", "2:10", "7,718", "6.5 %", "233/100", "rolled"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_view_says_how_many_requests_are_missing_and_a_step_too() -> None:
    rollout = simulate_rollout()
    window = replace(rollout.events[3], requests_needed=1_823, seconds_needed=2_400.0)
    assert window.kind is EventKind.WINDOW
    where = console(terminal=False)

    where.print(
        render_progress(
            Progress().with_event(rollout.events[0]).with_event(window), rollout.plan, START
        )
    )

    assert "a proof needs about 1,900 more requests, 40 minutes at this rate\n" in shown(where)
    step = replace(window, kind=EventKind.STEP, seconds_needed=None)
    assert event_line(step, START).endswith(" (needs about 1,900 more requests)")
    assert "needs" not in event_line(window, START)


def test_the_current_step_is_marked_among_the_others() -> None:
    rollout = simulate_rollout()
    fifth = next(n for n, each in enumerate(rollout.events) if each.number == 2)

    text = drawn(rollout, fifth + 1).replace("\u00a0", " ")

    assert "✓ 0 %  ✓ 1 %  ▶ 5 %  · 25 %  · 50 %  · 100 %   canary-05" in text


def test_a_bar_is_as_long_as_the_share() -> None:
    rollout = simulate_rollout()
    half = next(n for n, each in enumerate(rollout.events) if each.number == 4)

    desired = next(x for x in drawn(rollout, half + 1).splitlines() if "desired" in x)

    assert desired.count("━") == 15
    assert "50 %" in desired


def test_a_window_between_two_steps_leaves_the_desired_share() -> None:
    """The weights changed within the window, so it has no share; the desired share is known."""
    rollout = simulate_rollout()
    half = next(n for n, each in enumerate(rollout.events) if each.number == 4)
    window = replace(rollout.events[half + 1], step="canary-50", number=4, share=None)

    seen = Progress().with_event(rollout.events[half]).with_event(window)

    assert seen.share == 0.5
    assert "to the canary" not in event_line(window, START)


def test_a_terminal_is_redrawn_in_place() -> None:
    rollout = simulate_rollout(failing=0.08)
    where = console(terminal=True)

    with open_progress(rollout.plan, where, clock=lambda: START + 130) as progress:
        for event in rollout.events:
            progress.show_event(event)

    assert "\x1b[" in shown(where)
    assert "233/100" in shown(where)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(environ: dict[str, str]) -> None:
    where = console(terminal=True, _environ=environ)

    with open_progress(plan_summary(), where) as progress:
        for event in simulate_rollout(failing=0.08).events:
            progress.show_event(event)

    assert "\x1b[31" not in shown(where)
    assert "\x1b[1;31" not in shown(where)
    assert "38;5" not in shown(where)


def test_hostile_names_move_no_cursor_and_break_no_line() -> None:
    event = replace(simulate_rollout().events[0], step=HOSTILE, detail=HOSTILE)
    names = plan_summary(rollout=HOSTILE, canary=HOSTILE)
    where = console(terminal=False)
    where.print(render_progress(Progress().with_event(event), names, START))

    assert "\x1b" not in shown(where)
    assert "\x07" not in shown(where)
    assert "[red]kv" in shown(where)
    assert "\n" not in event_line(event, START)
