"""The frame of the benches: options, parts, exit codes, and the JSON file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.cost.__main__ import PROGRAM as COST
from bench.evidence.__main__ import PROGRAM as EVIDENCE
from bench.faults.__main__ import PROGRAM as FAULTS
from bench.frame import program as frame
from bench.frame.errors import BenchError, Unavailable
from bench.frame.program import Option, Program, Run, parse_arguments, run
from bench.frame.rows import Row, at_least, at_most
from bench.memory.__main__ import PROGRAM as MEMORY
from bench.scale.__main__ import PROGRAM as SCALE
from bench.security.__main__ import PROGRAM as SECURITY
from bench.signals.__main__ import PROGRAM as SIGNALS
from bench.soak.__main__ import PROGRAM as SOAK
from bench.suite.__main__ import PROGRAM as SUITE

PROGRAMS: tuple[Program[Any], ...] = (
    COST,
    SCALE,
    SOAK,
    MEMORY,
    SIGNALS,
    FAULTS,
    EVIDENCE,
    SECURITY,
    SUITE,
)


@dataclass(frozen=True)
class Sizes:
    rounds: int = 3


def good(run: Run[Sizes]) -> Iterator[Row]:
    assert list(run.directory.iterdir()) == []
    yield Row("rounds", run.sizes.rounds, "rounds", at_least(1))
    yield Row("without a limit", 0.5)


def bad(_: Run[Sizes]) -> Iterator[Row]:
    yield Row("errors", 2, "requests", at_most(1), "of 100")
    yield Row("recovery", float("inf"), "s", at_most(2))


def noisy(_: Run[Sizes]) -> Iterator[Row]:
    yield Row("ratio", 1.1, "times", at_most(1.05), noise=0.05)


def failing(_: Run[Sizes]) -> Iterator[Row]:
    yield Row("first", 1)
    raise BenchError("the server does not start")


def unavailable(_: Run[Sizes]) -> Iterator[Row]:
    raise Unavailable("root is missing")


def interrupted(_: Run[Sizes]) -> Iterator[Row]:
    os.kill(os.getpid(), signal.SIGTERM)
    yield Row("too late", 1)


PROGRAM = Program(
    name="test",
    description="A program for tests.",
    parts={
        "good": good,
        "bad": bad,
        "noisy": noisy,
        "failing": failing,
        "unavailable": unavailable,
        "interrupted": interrupted,
    },
    sizes=Sizes(),
    quick=Sizes(rounds=1),
    options=[Option("rounds", int, "rounds of everything")],
)

Bench = Callable[..., tuple[int, Any]]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Run the program; return the exit code and the content of the JSON file."""
    monkeypatch.setattr(frame, "WATCH_SECONDS", 0.02)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def run_program(only: str, *arguments: str) -> tuple[int, Any]:
        file = tmp_path / "results" / "test.json"
        code = run(PROGRAM, ["--only", only, "--output", str(file), *arguments])
        return code, json.loads(file.read_text())

    yield run_program
    for number, handler in before.items():
        signal.signal(number, handler)


def test_all_limits_hold(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, results = bench("good")

    assert code == 0
    assert results["program"] == "test"
    assert results["started"]
    assert results["machine"]["cores"] >= 1
    assert results["parts"]["good"]["status"] == "measured"
    first, second = results["rows"]
    assert first == {
        "part": "good",
        "title": "rounds",
        "value": 3,
        "unit": "rounds",
        "limit": {"at_least": 1},
        "verdict": "PASS",
        "note": "",
        "noise": 0.0,
    }
    assert (second["limit"], second["verdict"]) == (None, "")
    assert "rounds  ≥ 1    PASS" in capsys.readouterr().out


def test_a_broken_limit_is_exit_code_1(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, results = bench("good,bad")

    assert code == 1
    assert [row["verdict"] for row in results["rows"]] == ["PASS", "", "FAIL", "FAIL"]
    assert results["rows"][-1]["value"] is None
    output = capsys.readouterr().out
    assert "limit broken: bad: errors" in output
    assert "never" in output


def test_a_limit_that_is_missed_by_less_than_the_noise_is_not_broken(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    code, results = bench("noisy")

    assert code == 0
    assert results["rows"][0]["verdict"] == "within noise"
    assert "missed by less than the noise: noisy: ratio" in capsys.readouterr().out


def test_a_part_that_fails_is_exit_code_2_and_does_not_end_the_run(bench: Bench) -> None:
    code, results = bench("bad,failing,good")

    assert code == 2
    assert results["parts"]["failing"]["reason"] == "the server does not start"
    assert {row["part"] for row in results["rows"]} == {"good", "bad"}


def test_a_part_that_the_machine_cannot_run_is_skipped(bench: Bench) -> None:
    code, results = bench("unavailable,good")

    assert code == 0
    assert results["parts"]["unavailable"]["status"] == "skipped"


def test_a_signal_ends_the_run_and_the_results_so_far_are_written(bench: Bench) -> None:
    code, results = bench("good,interrupted")

    assert code == 2
    assert {row["part"] for row in results["rows"]} == {"good"}
    assert "SIGTERM" in results["parts"]["interrupted"]["reason"]


def test_quick_and_further_options_set_the_sizes(bench: Bench) -> None:
    assert bench("good", "--quick")[1]["rows"][0]["value"] == 1
    assert bench("good", "--quick", "--rounds", "7")[1]["rows"][0]["value"] == 7


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_has_the_same_options(program: Program[Any]) -> None:
    names = list(program.parts)

    assert parse_arguments(program, ["--only", ",".join(names[::-1])]).only == tuple(names)
    assert parse_arguments(program, []).only == tuple(names)
    assert parse_arguments(program, ["--quick"]).sizes == program.quick
    assert parse_arguments(program, []).output.name == f"{program.name}.json"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_an_unknown_part_is_an_error_that_lists_the_parts(
    program: Program[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(program, ["--only", "nonsense"])

    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "there is no part 'nonsense'" in message
    assert all(name in message for name in program.parts)
