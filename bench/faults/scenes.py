"""What a fault is: a scene that is set up, and a blow that is struck while clients ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ..consistency.workload import Crowd, Workload
from ..testbed.restartable import Service


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where a scene is set up, and how long things last there, in seconds."""

    directory: Path
    #: Of traffic before the fault.
    before_seconds: float = 2.0
    #: Of a fault that lasts as long as one likes.
    fault_seconds: float = 3.0
    #: Of traffic after the cause is gone: longer than recovery may take.
    after_seconds: float = 4.0
    #: Of the longest pause of Redis.
    long_pause_seconds: float = 20.0
    idle_connections: int = 10_000


@dataclass(frozen=True)
class Scene:
    """The services that run, and the blow: it returns when the fault's cause is gone."""

    services: Sequence[Service]
    strike: Callable[[Workload], Awaitable[None]]
    crowd: Crowd = field(default_factory=Crowd)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault; ``promise`` says what the README promises of acknowledged writes."""

    name: str
    title: str
    scene: Callable[[Ground], AbstractAsyncContextManager[Scene]]
    #: Whether nothing acknowledged may be lost or counted twice.
    is_durable: bool = True
    promise: str = "none lost"


class Unavailable(Exception):
    """The machine can't show this fault; the message says what it lacks."""
