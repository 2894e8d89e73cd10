"""Results that are saved, and the tables that are written from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.evidence.__main__ import SIMULATIONS
from bench.evidence.bad_worlds import LOST, SLIGHT_SHIFT
from bench.evidence.good_releases import with_baseline
from bench.evidence.good_worlds import GOOD_WORLDS
from bench.evidence.limits import NOT_COVERED
from bench.evidence.promises import BAD, GOOD
from bench.evidence.readme import render, render_short
from bench.evidence.rollouts import Outcome
from bench.evidence.saved import Saved
from bench.frame.documents import END, begin_of, block, write_passage

OUTCOME = Outcome("promoted", "good", 427.5, 10_000, 3, None)


def row(part: str, title: str, value: float | None, note: str = "", **limit: float) -> object:
    verdict = "FAIL" if value is None else "PASS"
    unit = "s" if part == "lost" else "%"
    found = {"part": part, "title": title, "value": value, "unit": unit, "note": note}
    return {**found, "limit": limit or None, "verdict": verdict if limit else ""}


def test_every_part_has_its_promise() -> None:
    assert {*GOOD, *BAD, "replaced"} == set(SIMULATIONS)


def test_what_is_not_covered_is_a_world() -> None:
    good = [each for worlds in GOOD_WORLDS.values() for each in worlds]
    worlds = (*LOST, SLIGHT_SHIFT, *good, *map(with_baseline, good))
    assert {each.title for each in worlds} >= set(NOT_COVERED)


def test_outcomes_are_saved_by_their_task(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    saved.save("a world", "", (1, 2, 0), [OUTCOME])

    assert saved.load("a world", "", (1, 2, 0), 1) == [OUTCOME]
    for other in (("b", "", (1, 2, 0), 1), ("a world", "Argo", (1, 2, 0), 1)):
        assert saved.load(*other) == []
    assert saved.load("a world", "", (1, 2, 10), 1) == []
    assert saved.load("a world", "", (1, 2, 0), 2) == []


def test_the_tables_are_written_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin_of('evidence')}\nold\n{END}\nafter\n")
    rows = [
        row("clusters", "of 3: rolled back", 0.25, "1 of 400", at_most=1),
        row("clusters", "of 20: rolled back", 0.0, "0 of 400", at_most=1),
        row("clusters", "of 3, baseline: rolled back", 0.0, "0 of 400", at_most=1),
        row("clusters", "of 3: inconclusive", 0.0, "0 of 400", at_most=5),
        row("lost", "gone: out, latest", None, "3 of 4 out", at_most=25),
        row("slow", "25 % slower: rolled back", 2.0, "8 of 400; 8 of 400 out"),
    ]

    for _ in range(2):
        write_passage(page, "evidence", block(render({"rows": rows})))

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert f"| {GOOD['clusters']} | 1 of 400 | 0 of 400 | 0 of 400 |" in text
    assert f"| {BAD['lost']} | gone: out, latest | at most 25 s | never |" in text
    assert "- gone: out, latest: never (must be at most 25 s)" in text
    assert "- 25 % slower: rolled back: 2 % of 400 (a pod that is" in text


def test_a_readme_without_marks_is_not_written(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("text\n")

    with pytest.raises(ValueError, match="must have"):
        write_passage(readme, "evidence", "")


def test_the_readme_names_the_worlds_in_which_a_limit_does_not_hold() -> None:
    kept = row("clusters", "of 3: rolled back", 0.25, "1 of 400", at_most=1)
    missed = row("lost", "gone: out, latest", None, at_most=25)
    beside = row("lost", "gone, baseline: out, latest", None, at_most=25)

    assert "all limits](docs/reference/bench.md#evidence).\n" in render_short({"rows": [kept]})
    assert render_short({"rows": [kept, missed, beside]}).endswith("**not covered**: gone.\n")
