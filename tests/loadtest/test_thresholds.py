"""Thresholds are read from a file, and compared with a measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.thresholds import (
    DEFAULT,
    Demands,
    Measured,
    Thresholds,
    ThresholdsInvalid,
    read_thresholds,
)

#: 100 requests in 10 s, of 1 to 100 ms. One failed.
FOUND = Measured(100, 1, 10.0, dict.fromkeys(range(1, 101), 1))


def broken(demands: Demands, found: Measured = FOUND, wrong: int = 0) -> list[str]:
    verdicts = Thresholds(demands).judge(found, {}, wrong)
    return [each.what for each in verdicts if not each.holds]


@pytest.mark.parametrize(
    ("name", "kept", "missed"),
    [
        ("p50_ms", 50, 49),
        ("p95_ms", 95, 94),
        ("p99_ms", 99, 98),
        ("error_ratio", 0.01, 0.009),
        ("requests_per_second", 10, 10.1),
    ],
)
def test_a_bound_itself_is_allowed(name: str, kept: float, missed: float) -> None:
    assert broken(Demands(**{name: kept})) == []
    assert broken(Demands(**{name: missed})) == [name]


def test_wrong_answers_and_runs_without_requests_are_never_allowed() -> None:
    assert broken(Demands(), wrong=1) == ["wrong answers"]
    assert broken(Demands(), Measured(0, 0, 0.0, {})) == ["requests"]


def test_a_route_has_thresholds_of_its_own_if_it_was_used() -> None:
    thresholds = Thresholds(routes={"GET /": Demands(p99_ms=1), "PUT /": Demands(p99_ms=1)})

    verdicts = thresholds.judge(FOUND, {"GET /": FOUND}, 0)

    assert [each.what for each in verdicts if not each.holds] == ["GET / p99_ms"]


def test_the_default_file_sets_every_threshold() -> None:
    read = read_thresholds(DEFAULT)

    for name in ("p50_ms", "p95_ms", "p99_ms", "error_ratio", "requests_per_second"):
        assert getattr(read.total, name)
    assert read.knee.p99_ms
    assert read.routes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "thresholds.toml"),
        ("[totals]", "there is no totals"),
        ("[total]\np98_ms = 1", "total: only"),
        ("[total]\np99_ms = true", "True is no bound"),
        ("[total]\np99_ms = -1", "-1 is no bound"),
        ("[routes]\n'GET /' = 1", "GET /: only"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text(text)

    with pytest.raises(ThresholdsInvalid, match=why):
        read_thresholds(file)
