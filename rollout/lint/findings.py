"""What the linter reports: findings with their severity and location. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error makes the lint fail; a warning and an info do not. The worst comes first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Location:
    """An object and its file; ``kind`` and ``name`` are empty if the whole file is meant."""

    file: str
    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def label(self) -> str:
        """Return ``VirtualService shop/kv``, or the file."""
        if not self.kind:
            return self.file
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {qualified}"


@dataclass(frozen=True, slots=True)
class Place:
    """A place with the same problem; ``path`` and ``line`` are as in Finding."""

    location: Location
    path: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule. ``path`` is empty if the whole object is meant, ``line`` None if unknown.

    Findings of one rule with the same ``cause`` become one, with the other places in ``more``.
    """

    severity: Severity
    rule: str
    location: Location
    path: str
    what: str
    remedy: str
    line: int | None = None
    #: Other files with the same finding.
    also_in: tuple[str, ...] = ()
    cause: str = ""
    more: tuple[Place, ...] = ()

    @property
    def count(self) -> int:
        """Return the number of places with this problem."""
        return 1 + len(self.more)
