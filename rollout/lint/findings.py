"""What the linter says: one thing that is wrong, where it stands, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error fails the run; a warning is worth a look; an info is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


#: The worst first.
ORDER = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Place:
    """An object and the file it came from; ``kind`` and ``name`` are empty for a whole file."""

    file: str
    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def label(self) -> str:
        """Return ``VirtualService shop/kv``, or the file."""
        if not self.kind:
            return self.file
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else (f"{self.kind} {self.name}")
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """``path`` is empty where the object as a whole is meant, ``line`` None where none is known."""

    severity: Severity
    rule: str
    place: Place
    path: str
    what: str
    remedy: str
    line: int | None = None
    #: Other files with the very same finding.
    also_in: tuple[str, ...] = ()
