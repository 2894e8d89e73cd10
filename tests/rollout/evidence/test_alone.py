"""A canary that has all requests is compared with how fast the old release was before."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rollout.evidence import Evidence
from rollout.evidence.counts import Window
from tests.rollout.evidence.windows_and_counts import OBJECTIVE, counts, window


def seen(old_slow: int, canary_slow: int, windows: int) -> Evidence:
    """Return the evidence of 400 old requests, and of 500 of the canary alone in each window."""
    evidence = Evidence(OBJECTIVE)
    for number, (share, each) in enumerate(_windows(old_slow, canary_slow, windows)):
        since = 5.0 * number
        evidence.observe(Window(since, since + 5, each.stable, each.canary), share)
    return evidence


def _windows(old_slow: int, canary_slow: int, windows: int) -> Iterator[tuple[float, Window]]:
    for _ in range(4):
        yield 0.0, window(counts(100, slow=(old_slow, 0)))
    for _ in range(windows):
        yield 1.0, window(canary=counts(500, slow=(canary_slow, 0)))


@pytest.mark.parametrize("old_slow", [100, 99])
def test_a_threshold_that_nearly_all_answers_exceed_tells_nothing(old_slow: int) -> None:
    """However long it goes on, and however few requests the old release had."""
    assert not seen(old_slow, 500, windows=400).slow_alone


def test_a_canary_that_has_become_slower_is_found() -> None:
    assert seen(10, 400, windows=8).slow_alone
    assert seen(60, 495, windows=20).slow_alone
    assert not seen(60, 350, windows=400).slow_alone


def test_a_canary_that_was_slow_for_less_than_a_spell_is_only_suspect() -> None:
    """What both releases share may have been slow: six windows are half a minute."""
    evidence = seen(10, 400, windows=6)

    assert evidence.suspect
    assert evidence.slower_alone == 1


@pytest.mark.parametrize("seconds", [5.0, 15.0, 30.0, 60.0])
@pytest.mark.parametrize("offset", [0.0, 0.3, 0.6, 0.9])
def test_a_spell_of_25_s_proves_nothing_however_long_windows_are(
    seconds: float, offset: float
) -> None:
    """They begin and end within it, before and after it."""
    evidence = Evidence(OBJECTIVE)
    observe_old(evidence)
    begin = 140.0 + offset * seconds
    for number in range(int(600 / seconds)):
        since = 20.0 + seconds * number
        until = since + seconds
        slow = max(0.0, min(until, begin + 25) - max(since, begin)) * 90
        canary = counts(int(100 * seconds), slow=(int(slow), 0))
        evidence.observe(Window(since, until, counts(0, slow=(0, 0)), canary), 1.0)

        assert not evidence.slow_alone, until


def test_the_second_time_the_old_release_is_taken_as_it_was_since_the_first() -> None:
    """What both share stays slow: the canary is as slow as the old release is now."""
    evidence = seen(10, 400, windows=8)
    was_slow = evidence.slow_alone

    evidence.forget_alone()
    for number in range(12):
        old, canary = counts(400, slow=(300, 0)), counts(100, slow=(75, 0))
        evidence.observe(Window(100 + 5.0 * number, 105 + 5.0 * number, old, canary), 0.2)
    nothing = counts(0, slow=(0, 0))
    for number in range(20):
        since = 200 + 5.0 * number
        evidence.observe(Window(since, since + 5, nothing, counts(500, slow=(400, 0))), 1.0)

    assert was_slow
    assert not evidence.slow_alone
    assert not evidence.suspect
    assert not evidence.harmful


def test_a_spell_ends_with_quick_answers() -> None:
    """Twenty slow times of 25 s each: each is an incident of its own."""
    evidence = Evidence(OBJECTIVE)
    observe_old(evidence)
    for number in range(160):
        slow = 400 if number % 8 < 5 else 0
        since = 20.0 + 5.0 * number
        canary = counts(500, slow=(slow, 0))
        evidence.observe(Window(since, since + 5, counts(0, slow=(0, 0)), canary), 1.0)

    assert not evidence.suspect
    assert not evidence.slow_alone


def test_slow_answers_of_young_pods_do_not_count() -> None:
    evidence = Evidence(OBJECTIVE)
    observe_old(evidence)
    for number in range(40):
        since = 20.0 + 5.0 * number
        canary = counts(500, slow=(400, 0))
        nothing = counts(0, slow=(0, 0))
        evidence.observe(Window(since, since + 5, nothing, canary), 1.0, warm=number >= 38)

        assert evidence.slow_alone == (number >= 38), number


def test_a_spell_is_saved() -> None:
    evidence = seen(10, 400, windows=6)

    restored = Evidence.load(OBJECTIVE, json.loads(json.dumps(evidence.dump())))

    assert restored.suspect
    assert restored.dump() == evidence.dump()
    earlier = {name: part for name, part in evidence.dump().items() if name != "alone_spells"}
    assert not Evidence.load(OBJECTIVE, earlier).suspect


def observe_old(evidence: Evidence) -> None:
    for number in range(4):
        since = 5.0 * number
        old = counts(100, slow=(10, 0))
        evidence.observe(Window(since, since + 5, old, counts(0, slow=(0, 0))), 0.0)
