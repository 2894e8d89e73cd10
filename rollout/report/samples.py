"""What a report draws: a row a second, and what the rollout was to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from ..evidence.counts import Counts
from ..evidence.objective import Objective

_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One release's second; latencies in milliseconds, None where nothing was answered."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    counts: Counts
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The second that begins at ``time`` (Unix); ``share`` is the canary's as desired, 0 to 1."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    time: float
    share: float | None
    stable: Side
    canary: Side


@dataclass(frozen=True, slots=True)
class PlannedStep:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the rollout was to be; ``stable`` and ``canary`` are the releases' names or versions.

    ``not_rehearsed`` are sentences, each about something that only a cluster would show.
    ``source`` says where the evidence came from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    rollout: str
    namespace: str
    strategy: str
    stable: str
    canary: str
    steps: tuple[PlannedStep, ...]
    objective: Objective
    step_seconds: float
    deadline_seconds: float
    source: str = ""
    not_rehearsed: tuple[str, ...] = ()
