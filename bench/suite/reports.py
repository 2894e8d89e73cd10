"""What a run of the tests reported, read from pytest's JUnit file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from bench.frame.errors import BenchError


@dataclass(frozen=True)
class Report:
    """How many tests ran and were skipped, and the names of those that failed."""

    tests: int
    skipped: int
    failed: tuple[str, ...]


def read_report(file: Path) -> Report:
    """Read a JUnit file; raise BenchError if there is none, or it has no test."""
    try:
        cases = list(ET.parse(file).iter("testcase"))  # noqa: S314 - pytest wrote it, here
    except (OSError, ET.ParseError) as error:
        raise BenchError(f"the tests left no report: {error}") from None
    if not cases:
        raise BenchError("no test ran")
    return Report(
        tests=len(cases),
        skipped=sum(case.find("skipped") is not None for case in cases),
        failed=tuple(_name_of(case) for case in cases if _has_failed(case)),
    )


def _has_failed(case: ET.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def _name_of(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"
