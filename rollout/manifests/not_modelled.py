"""Fields that are valid in Istio and that nothing here interprets: what then stays unchecked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NotModelled:
    """Annotates a field of a model, or a kind, that is valid and that nothing here interprets.

    ``what`` names the feature; ``unchecked`` says what can't be checked without it. With ``values``
    only these values of the field are meant; ``apart_from`` is a value that is not meant.
    ``changes_requests`` is false if the feature never changes where a request goes, or how it is
    answered, or if a rehearsal does: then only lint does not look at it.
    """

    what: str
    unchecked: str
    values: frozenset[Any] | None = None
    apart_from: Any = None
    changes_requests: bool = True

    def applies_to(self, value: Any) -> bool:
        """Return True if a manifest with this value of the field uses the feature."""
        if self.values is not None:
            return value in self.values
        return value is not False and value not in (None, self.apart_from, (), {}, "")


@dataclass(frozen=True, slots=True)
class NotModelledField:
    """A field of a manifest with its JSON path, and what it means that nothing interprets it."""

    path: str
    marker: NotModelled

    def __str__(self) -> str:
        """Return one sentence without the path."""
        return f"not modelled: {self.marker.what}, so {self.marker.unchecked}"
