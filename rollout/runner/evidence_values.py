"""The e-values of evidence and their thresholds, in the form that events have."""

from __future__ import annotations

from ..evidence import Evidence
from ..evidence.evidence import BREACH_WEIGHT
from ..evidence.objective import Objective
from ..evidence.split import FALSE_MISMATCH
from .events import EvidenceValues


def e_values_of(evidence: Evidence) -> EvidenceValues:
    """Return the e-values in the form that events have."""
    return EvidenceValues(
        harm=evidence.harm,
        harm_errors=evidence.harm_errors,
        harm_slow=tuple(evidence.harm_slow.values()),
        merit=evidence.merit,
        breach=evidence.breach,
        mismatch=evidence.mismatch,
    )


def thresholds_of(objective: Objective) -> EvidenceValues:
    """Return the value that each e-value must reach to reject its null hypothesis."""
    return EvidenceValues(
        harm=1 / objective.false_rollback,
        merit=1 / objective.false_promotion,
        breach=1 / (BREACH_WEIGHT * objective.false_rollback),
        mismatch=1 / FALSE_MISMATCH,
    )
