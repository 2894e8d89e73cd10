"""How much of everything is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The defaults are the full measurement."""

    rounds: int = 3
    #: Seconds of each operation in a round.
    seconds: int = 3
    #: Seconds of each operation at a constant rate, once for each round.
    latency_seconds: int = 2
    #: Requests before the resident memory is read.
    requests: int = 1_000_000
    #: Entries of the long listing.
    entries: int = 1_000_000
    #: Trials of each codec.
    trials: int = 7
    #: Further services: name and command; name, operation and "METHOD PATH".
    peer: tuple[tuple[str, str], ...] = ()
    peer_path: tuple[tuple[str, str, str], ...] = ()
