"""What came back for a request, and what the pod got of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_ATTEMPTS: Final = "x-envoy-attempt-count"


@dataclass(frozen=True, slots=True)
class Seen:
    """The request as the pod got it; ``cluster`` is the name that Envoy chose.

    ``timeout_seconds`` is how long Envoy waits for an answer; 0 is no limit.
    """

    cluster: str
    method: str
    path: str
    host: str
    headers: Mapping[str, str]
    timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """``status`` is 0 if nobody listens, or the connection was closed.

    ``route`` is the name of the route that took the request, empty if none did. ``seen`` is None if
    no pod got it; then ``reason`` is the beginning of the answer.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    route: str = ""
    seen: Seen | None = None
    reason: str = ""

    @property
    def attempts(self) -> int:
        """Return how often Envoy sent the request to a pod."""
        return int(self.headers.get(_ATTEMPTS, 0))
