"""Results as JUnit XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from .assertion_run import Outcome, Report


def junit_xml(reports: Iterable[Report]) -> str:
    """Return a testsuite for each file, with a testcase for each assertion at each step."""
    suites = "".join(map(_suite, reports))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suites}</testsuites>\n'


def _suite(report: Report) -> str:
    cases = "".join(_case(report.file, each) for each in report.outcomes)
    head = (
        f'<testsuite name={quoteattr(report.file)} tests="{len(report.outcomes)}"'
        f' failures="{report.failed}" errors="0" time="{report.seconds:.3f}">'
    )
    return f"{head}\n{cases}</testsuite>\n"


def _case(file: str, outcome: Outcome) -> str:
    step = f" at step {outcome.step}" if outcome.step else ""
    head = (
        f"<testcase classname={quoteattr(file)} name={quoteattr(outcome.title + step)}"
        f' file={quoteattr(file)} line="{outcome.line}" time="{outcome.seconds:.3f}"'
    )
    if not outcome.failures:
        return f"{head}/>\n"
    text = escape("\n".join((*outcome.failures, *outcome.explanation)))
    return f"{head}><failure message={quoteattr(outcome.failures[0])}>{text}</failure></testcase>\n"
