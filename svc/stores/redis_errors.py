"""Translate Redis errors to domain errors: was the change applied, and does a retry make sense."""

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
from ..telemetry.token_bucket import TokenBucket
from .entry_codec import later_format
from .link import Lost, Unsent
from .reasons import reason_of_reply

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__package__}.refusals")

# Redis sends each of these before the command changes anything. Redis 6 puts a script's error
# inside a message of its own, so the code may be anywhere in the text.
_AGAIN: Final = re.compile(r"\b(TRYAGAIN|ASK|LATE)\b")
#: Log lines a second about errors that nobody expected.
_log_limit: Final = TokenBucket(10.0)
_LATER: Final = re.compile(r"\bFORMAT ([0-9]{1,3})")
_CORRUPT: Final = re.compile(r"WRONGTYPE|not an integer")


def domain_error_of(reply: Exception, *, changing: bool) -> DomainError:
    """Translate an error reply, Unsent or Lost. ``changing``: the command may change data."""
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
    if reason_of_reply(text) or _AGAIN.search(text):
        return StoreUnavailable("the store refuses for now; nothing was applied")
    if "overflow" in text:
        return CounterOverflow()
    if later := _LATER.search(text):
        return later_format(int(later[1]))
    if _CORRUPT.search(text):
        return StoreCorrupt("the store holds something else under this name")
    if _log_limit.take():
        log.error("store answered with an unexpected error", extra={"reason": _without_data(text)})
    if changing:
        return OutcomeUnknown("the store failed in the middle; the change may be applied")
    return StoreCorrupt("the store answered with an unexpected error")


def _without_data(text: str) -> str:
    """Cut the command's arguments, which Redis repeats, off the text: they are clients' data."""
    return text.partition(", with args beginning")[0][:200]


def checked(reply: Any, *, changing: bool) -> Any:
    """Return the reply, or raise the domain error that it stands for."""
    if isinstance(reply, Exception):
        raise domain_error_of(reply, changing=changing)
    return reply
