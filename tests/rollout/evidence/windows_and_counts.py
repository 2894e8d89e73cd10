"""Short constructors of counts, windows and evidence for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.evidence.objective import Objective

EDGES: Final = (0.1, 0.5)
OBJECTIVE: Final = Objective(slow_seconds=EDGES)


def counts(requests: int = 0, failures: int = 0, slow: Iterable[int] | None = None) -> Counts:
    """Return counts; by default exactly the failures are slow."""
    return Counts(requests, failures, tuple(slow or (failures,) * len(EDGES)))


def window(stable: Counts | None = None, canary: Counts | None = None) -> Window:
    return Window(0.0, 5.0, stable or counts(), canary or counts())


def gathered(
    windows: Iterable[Window], share: float | None = None, objective: Objective = OBJECTIVE
) -> Evidence:
    """Return the evidence of windows that follow one another, 5 s each."""
    evidence = Evidence(objective)
    for number, each in enumerate(windows):
        evidence.observe(replace(each, since=5.0 * number, until=5.0 * number + 5), share)
    return evidence


def repeated(one: Window, times: int) -> Iterator[Window]:
    return (one for _ in range(times))


def after(evidence: Evidence, one: Window, share: float | None = None) -> Evidence:
    """Return a copy of the evidence with one more window."""
    more = Evidence.load(evidence.objective, evidence.dump())
    more.observe(replace(one, since=1e6, until=1e6 + 5), share)
    return more
