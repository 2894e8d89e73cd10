"""The bench of the suite: a clean checkout's run, and what its report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame.errors import BenchError
from bench.frame.processes import ROOT, descendants
from bench.suite.__main__ import row_of
from bench.suite.checkouts import suite_run
from bench.suite.reports import Report, read_report
from tests.support.waiting import until

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_good"/>
<testcase classname="tests.a" name="test_bad"><failure message="x"/></testcase>
<testcase classname="tests.b" name="test_broken"><error message="x"/></testcase>
<testcase classname="tests.b" name="test_elsewhere"><skipped message="x"/></testcase>
</testsuite></testsuites>"""

needs_repository = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="the clean checkout is cloned from a repository"
)


def test_a_report_names_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_text(JUNIT)

    report = read_report(file)

    assert report == Report(4, 1, ("tests.a::test_bad", "tests.b::test_broken"))


@pytest.mark.parametrize("content", ["", "<testsuites></testsuites>"])
def test_a_report_without_tests_is_no_success(tmp_path: Path, content: str) -> None:
    file = tmp_path / "report.xml"
    file.write_text(content)

    with pytest.raises(BenchError):
        read_report(file)


@needs_repository
def test_a_run_without_tests_fails_with_the_end_of_its_output(tmp_path: Path) -> None:
    with suite_run(tmp_path, target="help") as run:
        until(run.has_ended)

        with pytest.raises(BenchError, match="make clean"):
            run.report()
        row = row_of(7, run, tmp_path / "kept")

    assert row.value == 1
    output = tmp_path / "kept" / "run-7.txt"
    assert str(output) in row.note
    assert "make clean" in output.read_text()


@needs_repository
def test_a_run_that_is_left_ends_with_its_processes(tmp_path: Path) -> None:
    with suite_run(tmp_path, target="types") as run:
        children = until(lambda: descendants(run.pid), what="mypy")

    assert run.has_ended()
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in children), what="its end")
