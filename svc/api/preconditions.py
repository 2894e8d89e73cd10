"""Conditional requests (RFC 9110 §13): read the headers, compare ETags for reads and PATCH.

Writes and deletions compare in Redis, atomically with the change: `stores/scripts/put.lua` and
`delete.lua`. PATCH also compares here, before it merges.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from aiohttp import hdrs, web

from ..domain.errors import HeaderInvalid, PreconditionFailed
from ..domain.model import Precondition

_ENTITY_TAG: Final = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def precondition_of(request: web.Request) -> Precondition | None:
    """Return the request's If-Match and If-None-Match; None if it has neither.

    Raises HeaderInvalid.
    """
    headers = request.headers
    if hdrs.IF_UNMODIFIED_SINCE in headers:
        raise HeaderInvalid("If-Unmodified-Since: whole seconds can't guard a write; use If-Match")
    if hdrs.IF_MATCH not in headers and hdrs.IF_NONE_MATCH not in headers:
        return None
    return Precondition(
        if_match=_entity_tags(request, hdrs.IF_MATCH),
        if_none_match=_entity_tags(request, hdrs.IF_NONE_MATCH),
    )


def check_read(request: web.Request, etag: str) -> None:
    """Raise PreconditionFailed if a GET's If-Match does not name the entry's ETag."""
    check_precondition(Precondition(if_match=_entity_tags(request, hdrs.IF_MATCH)), etag)


def is_unchanged(request: web.Request, etag: str, written_seconds: int) -> bool:
    """Return True if a GET's If-None-Match or If-Modified-Since asks for a 304.

    ``written_seconds`` is the entry's time of writing since the epoch.
    """
    tags = _entity_tags(request, hdrs.IF_NONE_MATCH)
    if tags is not None:
        return tags == ("*",) or etag in tags
    since = request.headers.get(hdrs.IF_MODIFIED_SINCE)
    if since is None:
        return False
    try:
        return written_seconds <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # RFC 9110 §13.1.3: ignore an invalid date
        return False


def check_precondition(precondition: Precondition | None, etag: str) -> None:
    """Compare an existing entry's ETag. Raise PreconditionFailed if the precondition is false."""
    if precondition is None:
        return
    wanted, unwanted = precondition.if_match, precondition.if_none_match
    if (wanted is not None and wanted != ("*",) and etag not in wanted) or (
        unwanted is not None and (unwanted == ("*",) or etag in unwanted)
    ):
        raise PreconditionFailed(etag)


def _entity_tags(request: web.Request, header: str) -> tuple[str, ...] | None:
    lines = request.headers.getall(header, None)
    if lines is None:
        return None
    tags = parse_entity_tags(",".join(lines), header)
    # If-None-Match compares weakly, so W/ does not count. If-Match compares strongly: a weak tag
    # keeps its W/ and therefore matches no entry's ETag.
    if header == hdrs.IF_NONE_MATCH:
        return tuple(tag.removeprefix("W/") for tag in tags)
    return tags


def parse_entity_tags(text: str, field: str) -> tuple[str, ...]:
    """Parse ``*`` or a comma-separated list of quoted ETags.

    Raises HeaderInvalid, whose message names the field.
    """
    text = text.strip()
    if text == "*":
        return ("*",)
    tags, at = [], 0
    while at < len(text):
        found = _ENTITY_TAG.match(text, at)
        if found is None:
            raise HeaderInvalid(f'{field}: it must be * or a list of ETags in quotes, as "abc"')
        tags.append(found[1])
        at = found.end()
    if not tags:
        raise HeaderInvalid(f"{field}: it is empty")
    return tuple(tags)
