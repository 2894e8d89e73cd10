"""From counters to evidence: the only module of the judge that knows how evidence is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..evidence import Evidence
from ..evidence.counts import CounterSnapshot, Counts, Window
from ..evidence.objective import Objective
from ..evidence.windows import WindowBuilder, sum_windows
from ..runner.decisions import Reason
from ..runner.evidence_values import e_values_of, thresholds_of

#: A longer window, after an outage of Prometheus for example, is not used: the other controller may
#: have changed the weights within it.
LONGEST_WINDOW_SECONDS: Final = 300.0

#: What can be proven against a canary.
AGAINST: Final = (Reason.HARM, Reason.SILENT, Reason.BREACH, Reason.SLOWER)
#: For so long after the canary's first requests its pods are young, and may be slow for it.
WARM_UP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Values:
    """What the evidence says: e-values and thresholds by the name of the test, and its verdicts.

    ``against`` is one of AGAINST if the canary is proven to be bad, else None. ``proven`` is True
    if it is proven to be good. ``worst`` is the part that shows the most harm: ``errors``,
    ``slowing``, or a latency such as ``0.25s``.
    """

    e_values: Mapping[str, float]
    thresholds: Mapping[str, float]
    against: Reason | None
    mismatched: bool
    proven: bool
    worst: str
    stable: Counts
    canary: Counts
    #: About how many more requests of the canary a proof takes; 0 if there is one, None if more
    #: requests do not help.
    requests_needed: int | None


class ComparedEvidence:
    """The evidence of one comparison: give it snapshots, and ask it for its values."""

    def __init__(
        self, objective: Objective, share: float | None, evidence: Evidence | None = None
    ) -> None:
        self._share = share
        self._evidence = evidence or Evidence(objective)
        self._windows = WindowBuilder(len(objective.slow_seconds))
        self._read_at: float | None = None
        #: When the canary's first requests were counted, by the time of the counters.
        self._exposed_at: float | None = None

    def add(self, snapshot: CounterSnapshot) -> Window | None:
        """Add the requests since the last snapshot; return their window if there is one."""
        if self._read_at is not None and snapshot.at - self._read_at > LONGEST_WINDOW_SECONDS:
            self._windows = WindowBuilder(len(self._evidence.objective.slow_seconds))
        self._read_at = snapshot.at
        windows = self._windows.add(snapshot)
        if not windows:
            return None
        window = sum_windows(windows)
        if window.canary.requests and self._exposed_at is None:
            self._exposed_at = window.since
        warm = self._exposed_at is not None and (window.since >= self._exposed_at + WARM_UP_SECONDS)
        self._evidence.observe(window, self._share, warm=warm)
        return window

    @property
    def values(self) -> Values:
        evidence = self._evidence
        found = e_values_of(evidence)
        thresholds = thresholds_of(evidence.objective)
        kinds = ("harm", "merit", "breach", "mismatch")
        return Values(
            e_values={kind: getattr(found, kind) for kind in kinds},
            thresholds={kind: getattr(thresholds, kind) for kind in kinds},
            against=_against(evidence),
            mismatched=evidence.mismatched,
            proven=evidence.proven and not evidence.suspect,
            worst=evidence.worst,
            stable=evidence.stable,
            canary=evidence.canary,
            requests_needed=evidence.requests_needed,
        )

    def dump(self) -> dict[str, Any]:
        """Return the state for JSON.

        The last snapshot is not part of it: the weights may change while nobody reads, so the
        requests of that time are not used.
        """
        return {"evidence": self._evidence.dump(), "exposedAt": self._exposed_at}

    @classmethod
    def load(
        cls, objective: Objective, share: float | None, saved: Mapping[str, Any]
    ) -> ComparedEvidence:
        """Restore what ``dump`` returned; raise ValueError if it belongs to another objective."""
        restored = cls(objective, share, Evidence.load(objective, saved["evidence"]))
        restored._exposed_at = saved["exposedAt"]
        return restored


def _against(evidence: Evidence) -> Reason | None:
    for reason, is_proven in (
        (Reason.HARM, evidence.harmful),
        (Reason.SILENT, evidence.silent),
        (Reason.BREACH, evidence.breached),
        (Reason.SLOWER, evidence.slow_alone),
    ):
        if is_proven:
            return reason
    return None
