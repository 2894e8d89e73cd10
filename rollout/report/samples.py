"""Requests and latencies of each second: a rehearsal records them, a report draws them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..evidence.counts import Counts


@dataclass(frozen=True, slots=True)
class ArmSample:
    """One arm's second; latencies in milliseconds, None if no request was completed."""

    counts: Counts
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The second that begins at ``time`` (Unix time).

    ``share`` is the desired share of the canary, 0 to 1, None if the step has no weights.
    """

    time: float
    share: float | None
    stable: ArmSample
    canary: ArmSample
