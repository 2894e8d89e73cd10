"""What ``doctor`` finds: each line says what there is or lacks, and what to do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """Whether a rollout has what it needs."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """``remedy`` says what to do; it is empty if there is nothing to do."""

    health: Health
    what: str
    remedy: str = ""

    def render(self) -> str:
        """Return the finding as text, with its remedy on a line of its own."""
        remedy = f"\n{'':9}→ {self.remedy}" if self.remedy else ""
        return f"{self.health.value:8} {self.what}{remedy}"
