"""Delete the entries or the counters of a prefix, a page of a listing at a time."""

from __future__ import annotations

from typing import Final

from ..domain.errors import OutcomeUnknown
from ..domain.model import Collection, PrefixDeleted
from . import entry_codec, listing, scripts
from .access import RedisAccess
from .names import counter_pattern, entry_pattern
from .redis_errors import domain_error_of

_PATTERNS: Final = {"kv": entry_pattern, "counters": counter_pattern}
#: The highest first byte of what may be deleted: see delete_many.lua.
_HIGHEST: Final = {"kv": entry_codec.FORMAT, "counters": 255}


async def delete_page(
    access: RedisAccess,
    collection: Collection,
    prefix: str,
    limit: int,
    cursor: str | None,
    within: tuple[str, ...],
) -> PrefixDeleted:
    """Delete a page as Store.delete_prefix does."""
    deadline = access.deadline()
    pattern = _PATTERNS[collection](listing.narrowed(prefix, within))
    scan = await listing.scan_page(access.link, cursor, pattern, limit, deadline, within)
    names = list(scan.names)
    replies = await access.execute_groups(
        names,
        lambda group: (
            scripts.DELETE_MANY,
            len(group),
            *[names[i] for i in group],
            _HIGHEST[collection],
        ),
        deadline,
    )
    deleted, failures = 0, []
    for _, reply in replies:
        if isinstance(reply, Exception):
            failures.append(domain_error_of(reply, changing=True))
        else:
            deleted += reply
    if failures and (deleted or any(each.applied != "no" for each in failures)):
        raise OutcomeUnknown("the store failed in the middle; some may be deleted: send it again")
    if failures:
        raise failures[0]
    return PrefixDeleted(deleted, scan.next_cursor)
