"""A lint rule: its id, its severity, a summary, and the function that finds problems. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .context import LintContext
from .findings import Location, Severity
from .resource import Resource


@dataclass(frozen=True, slots=True)
class Problem:
    """What breaks a rule: the object or file, the JSON path in it, the harm, and the remedy.

    ``line`` is for a file only; the line in an object follows from ``path``. Problems with the same
    ``cause`` are reported together; without one, those with the same text are.
    """

    where: Resource | Location
    path: str
    what: str
    remedy: str
    line: int | None = None
    cause: str = ""


class InputProblem(NamedTuple):
    """A problem found before the rules ran: while the manifests were built, read or parsed."""

    rule_id: str
    problem: Problem


Check = Callable[[LintContext], Iterator[Problem]]
#: Checks one step of a plan: the context before the step, and the context with the step applied.
StepCheck = Callable[[LintContext, LintContext], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Rule:
    """``summary`` states in one line what manifests must satisfy.

    A rule without a check is reported while manifests are built, read or parsed. If it is
    ``allowable``, an annotation of an object allows that object to break it.
    """

    id: str
    severity: Severity
    summary: str
    check: Check | None = None
    step_check: StepCheck | None = None
    allowable: bool = True
