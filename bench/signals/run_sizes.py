"""How much of everything is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The defaults are the full measurement."""

    #: Requests without a valid traceparent: as many with none as with a malformed one.
    undecided: int = 160_000
    #: Requests with each pair of flags in a valid traceparent.
    decided: int = 10_000
    scrapes: int = 60
    #: Seconds of traffic before SIGTERM.
    before_stop_seconds: int = 5
    #: Windows in which a service with a hanging collector is compared with a healthy one.
    windows: int = 30
    window_seconds: int = 2
    blocks: int = 10
