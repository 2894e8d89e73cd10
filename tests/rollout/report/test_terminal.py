"""A terminal gets a view that fits it; a log gets a line an event, without a single escape."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from rollout.report.terminal import open_progress
from rollout.report.terminal_view import Seen, describe, draw
from tests.rollout.report.simulated_rollout import START, Telling, about, tell_rollout

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


def drawn(telling: Telling, events: int | None = None) -> str:
    seen = Seen()
    for event in telling.events[:events]:
        seen = seen.after(event)
    where = console(terminal=False)
    where.print(draw(seen.with_sample(telling.samples[-1]), telling.about, START + 130))
    return shown(where)


def test_a_log_gets_one_line_an_event() -> None:
    telling = tell_rollout(failing=0.08)
    where = console(terminal=False)

    with open_progress(telling.about, where) as progress:
        for event in telling.events:
            progress.show_event(event)
        progress.show_sample(telling.samples[0])

    lines = shown(where).splitlines()
    assert len(lines) == len(telling.events)
    assert lines[0] == "0:00  started  canary-00 (0 % to the canary)"
    assert lines[-1] == "2:10  rolled back  canary-00 (0 % to the canary)  harm"
    assert "\x1b" not in shown(where)


def test_the_view_has_the_numbers_that_decide() -> None:
    text = drawn(tell_rollout(failing=0.08))

    for words in ("shop/kv", "1.4.0 to 1.5.0", "2:10", "7,718", "6.5 %", "233 of 100", "rolled"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_current_step_is_marked_among_the_others() -> None:
    telling = tell_rollout()
    fifth = next(n for n, each in enumerate(telling.events) if each.number == 2)

    text = drawn(telling, fifth + 1).replace("\u00a0", " ")

    assert "✓ 0 %  ✓ 1 %  ▶ 5 %  · 25 %  · 50 %  · 100 %   canary-05" in text


def test_a_bar_is_as_long_as_the_share() -> None:
    telling = tell_rollout()
    half = next(n for n, each in enumerate(telling.events) if each.number == 4)

    desired = next(x for x in drawn(telling, half + 1).splitlines() if "desired" in x)

    assert desired.count("━") == 15
    assert "50 %" in desired


def test_a_window_between_two_steps_leaves_the_desired_share() -> None:
    """Its share is unknown, for the weights changed within it; what is desired now is not."""
    telling = tell_rollout()
    half = next(n for n, each in enumerate(telling.events) if each.number == 4)
    window = replace(telling.events[half + 1], step="canary-50", number=4, share=None)

    seen = Seen().after(telling.events[half]).after(window)

    assert seen.share == 0.5
    assert "to the canary" not in describe(window, START)


def test_a_terminal_is_redrawn_in_place() -> None:
    telling = tell_rollout(failing=0.08)
    where = console(terminal=True)

    with open_progress(telling.about, where, clock=lambda: START + 130) as progress:
        for event in telling.events:
            progress.show_event(event)

    assert "\x1b[" in shown(where)
    assert "233 of 100" in shown(where)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(environ: dict[str, str]) -> None:
    where = console(terminal=True, _environ=environ)

    with open_progress(about(), where) as progress:
        for event in tell_rollout(failing=0.08).events:
            progress.show_event(event)

    assert "\x1b[31" not in shown(where)
    assert "\x1b[1;31" not in shown(where)
    assert "38;5" not in shown(where)


def test_hostile_names_move_no_cursor_and_break_no_line() -> None:
    event = replace(tell_rollout().events[0], step=HOSTILE, detail=HOSTILE)
    names = about(rollout=HOSTILE, canary=HOSTILE)
    where = console(terminal=False)
    where.print(draw(Seen().after(event), names, START))

    assert "\x1b" not in shown(where)
    assert "\x07" not in shown(where)
    assert "[red]kv" in shown(where)
    assert "\n" not in describe(event, START)
