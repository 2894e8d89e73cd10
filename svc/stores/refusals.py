"""What a Redis error means to the caller: was anything applied, and is it worth a retry."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from ..domain.errors import (
    CounterOverflow,
    DomainError,
    OutcomeUnknown,
    StoreCorrupt,
    StoreFull,
    StoreUnavailable,
)
from .link import Lost, Unsent

log = logging.getLogger(__name__)

# Redis refuses all of these before a command changes anything. Redis 6 wraps a script's error in
# a text of its own, so the code is looked for anywhere in it.
_UNAVAILABLE: Final = re.compile(
    r"\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|MISCONF|NOREPLICAS|BUSY"
    r"|UNKILLABLE|NOAUTH|NOPERM|WRONGPASS|max number of clients|Protocol error)\b"
)
_CORRUPT: Final = re.compile(r"WRONGTYPE|not an integer")


def failure_of(reply: Exception, *, changing: bool) -> DomainError:
    """Translate what stands in a reply's place; ``changing``: the command may change something."""
    if isinstance(reply, DomainError):
        return reply
    if isinstance(reply, Unsent):
        return StoreUnavailable("the store could not be asked; nothing was applied")
    if isinstance(reply, Lost):
        if changing:
            return OutcomeUnknown("the store's answer did not come; the change may be applied")
        return StoreUnavailable("the store did not answer in time")
    text = str(reply)
    if "OOM" in text:
        return StoreFull("the store is out of memory; nothing was applied")
    if _UNAVAILABLE.search(text):
        log.warning("store refuses", extra={"reason": _without_data(text)})
        return StoreUnavailable("the store refuses for now; nothing was applied")
    if "overflow" in text:
        return CounterOverflow()
    if _CORRUPT.search(text):
        return StoreCorrupt("the store holds something else under this name")
    log.error("store answered with an unexpected error", extra={"reason": _without_data(text)})
    if changing:
        return OutcomeUnknown("the store failed in the middle; the change may be applied")
    return StoreCorrupt("the store answered with an unexpected error")


def _without_data(text: str) -> str:
    """Leave out what Redis repeats of a command that it doesn't know: keys and values."""
    return text.partition(", with args beginning")[0][:200]


def checked(reply: Any, *, changing: bool) -> Any:
    """Return the reply, or raise what its failure means."""
    if isinstance(reply, Exception):
        raise failure_of(reply, changing=changing)
    return reply
