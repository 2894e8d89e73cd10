"""Conditional requests (RFC 9110 §13): read the headers, compare ETags for reads and PATCH.

Writes and deletions compare in Redis, atomically with the change: `stores/scripts/put.lua` and
`delete.lua`. PATCH also compares here, before it merges.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from ..domain.errors import HeaderInvalid, PreconditionFailed
from ..domain.model import Precondition
from .http_dates import parse_http_date

#: RFC 9110 §5.6.1.2: empty elements of a list are ignored.
_ENTITY_TAG: Final = re.compile(r'[\s,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def precondition_of(request: web.Request) -> Precondition | None:
    """Return the request's If-Match and If-None-Match; None if it has neither.

    Raises HeaderInvalid.
    """
    headers = request.headers
    # RFC 9110 §13.1.4: it is ignored beside If-Match, and if it is not a date.
    if (
        hdrs.IF_UNMODIFIED_SINCE in headers
        and hdrs.IF_MATCH not in headers
        and _date_of(request, hdrs.IF_UNMODIFIED_SINCE) is not None
    ):
        raise HeaderInvalid("If-Unmodified-Since: whole seconds can't guard a write; use If-Match")
    if hdrs.IF_MATCH not in headers and hdrs.IF_NONE_MATCH not in headers:
        return None
    return Precondition(
        if_match=_entity_tags(request, hdrs.IF_MATCH),
        if_none_match=_entity_tags(request, hdrs.IF_NONE_MATCH),
    )


def modified_seconds(written_seconds: int) -> int:
    """Return the end of the second in which the entry was written, since the epoch.

    All dates of conditions are compared with it. RFC 9110 §8.8.2.2: a date of whole seconds names
    a version only after its second has passed, because a second write may follow in it.
    """
    return written_seconds + 1


def check_read(request: web.Request, etag: str, written_seconds: int | None = None) -> None:
    """Raise PreconditionFailed if a GET's If-Match or If-Unmodified-Since is false.

    ``written_seconds`` is the time of writing since the epoch; None: the resource has none. A weak
    ETag matches ``*`` only.
    """
    tags = _entity_tags(request, hdrs.IF_MATCH)
    if tags is not None:
        failed = tags != ("*",) and (etag.startswith("W/") or etag not in tags)
    else:
        since = _date_of(request, hdrs.IF_UNMODIFIED_SINCE)
        failed = (
            since is not None
            and written_seconds is not None
            and modified_seconds(written_seconds) > since
        )
    if failed:
        raise PreconditionFailed(etag)


def is_unchanged(request: web.Request, etag: str, written_seconds: int | None = None) -> bool:
    """Return True if a GET's If-None-Match or If-Modified-Since asks for a 304.

    The arguments are those of check_read.
    """
    tags = _entity_tags(request, hdrs.IF_NONE_MATCH)
    if tags is not None:
        return is_listed(etag.removeprefix("W/"), tags)
    since = _date_of(request, hdrs.IF_MODIFIED_SINCE)
    if since is None or written_seconds is None:
        return False
    return modified_seconds(written_seconds) <= since


def without_etag(
    handler: Handler, check: Callable[[web.Request], object] = lambda _: None
) -> Handler:
    """Let the handler of a GET whose answers have no ETag honour If-Match and If-None-Match.

    The resource exists, so ``*`` matches it. No ETag that a client sends does. ``check`` raises
    what the handler would raise: RFC 9110 §13.2.1 lets no condition hide that.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        tags = _entity_tags(request, hdrs.IF_MATCH)
        if tags is not None or hdrs.IF_NONE_MATCH in request.headers:
            check(request)
        if tags is not None and tags != ("*",):
            raise PreconditionFailed(None, "this resource has no ETag")
        if _entity_tags(request, hdrs.IF_NONE_MATCH) == ("*",):
            return web.Response(status=304)
        return await handler(request)

    return handle


def is_same_version(request: web.Request, etag: str, written_seconds: int) -> bool:
    """Return False if If-Range names another version than this one: send the whole then."""
    lines = request.headers.getall(hdrs.IF_RANGE, ())
    if not lines:
        return True
    if len(lines) > 1:
        return False
    text = lines[0].strip()
    # RFC 9110 §13.1.5: the comparison is strong, and a date must be the same.
    return text == etag or _date_of(request, hdrs.IF_RANGE) == modified_seconds(written_seconds)


def _date_of(request: web.Request, header: str) -> int | None:
    """Return the header's date since the epoch; None if there is none, or it is not a date."""
    lines = request.headers.getall(header, ())
    return parse_http_date(lines[0].strip(), time.time()) if len(lines) == 1 else None


def check_precondition(precondition: Precondition | None, etag: str) -> None:
    """Compare an existing entry's ETag. Raise PreconditionFailed if the precondition is false."""
    if precondition is None:
        return
    wanted, unwanted = precondition.if_match, precondition.if_none_match
    if (wanted is not None and not is_listed(etag, wanted)) or is_listed(etag, unwanted):
        raise PreconditionFailed(etag)


def is_listed(etag: str, tags: tuple[str, ...] | None) -> bool:
    """Return True if the tags of a condition, None for no condition, name the ETag."""
    return tags is not None and (tags == ("*",) or etag in tags)


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
    text = text.rstrip(", \t")
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
