"""The client of the service: awaiting and blocking, over one core without I/O.

May import: api, domain.
"""

from __future__ import annotations

try:
    from .awaiting import AsyncClient
    from .blocking import Client
except ModuleNotFoundError as error:
    if error.name not in {"httpx", "httpx_sse"}:
        raise
    raise ImportError(
        f"the client needs {error.name}, which the extra brings: pip install 'tallykv[client]'",
        name=error.name,
    ) from None

from ..api.bodies import CounterRead, CounterSet, CounterStepped, EntryWritten
from ..domain.model import CounterSummary, EntrySummary
from .batch import Batch, Reply
from .errors import (
    Conflict,
    CounterBound,
    CounterMissing,
    CounterOverflow,
    Error,
    IdempotencyMismatch,
    Invalid,
    KeyMissing,
    Missing,
    NotAllowed,
    NotJson,
    OutcomeUnknown,
    PreconditionFailed,
    RateLimited,
    ServiceFailed,
    StoreFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from .values import Entry
from .watching import Changed, Counted, Deleted, Synced

__all__ = [
    "AsyncClient",
    "Batch",
    "Changed",
    "Client",
    "Conflict",
    "Counted",
    "CounterBound",
    "CounterMissing",
    "CounterOverflow",
    "CounterRead",
    "CounterSet",
    "CounterStepped",
    "CounterSummary",
    "Deleted",
    "Entry",
    "EntrySummary",
    "EntryWritten",
    "Error",
    "IdempotencyMismatch",
    "Invalid",
    "KeyMissing",
    "Missing",
    "NotAllowed",
    "NotJson",
    "OutcomeUnknown",
    "PreconditionFailed",
    "RateLimited",
    "Reply",
    "ServiceFailed",
    "StoreFull",
    "Synced",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]
