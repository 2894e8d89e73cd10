"""Read the present states of entries and counters by their names in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...domain.errors import DomainError, StoreCorrupt
from ...domain.model import counter_etag
from ...domain.watching import MAX_TOLD_BYTES, Change
from .. import entry_codec
from ..clock import ServerClock
from ..link import Command, Link
from ..listing import GONE, parse_counter
from ..names import text_of
from ..redis_errors import checked

COUNTER: Final = b"ct:"
_HEAD: Final = str(entry_codec.HEADER_BYTES - 1)
_WHOLE: Final = str(entry_codec.HEADER_BYTES - 1 + MAX_TOLD_BYTES)


async def read_states(
    link: Link,
    clock: ServerClock,
    names: Sequence[tuple[bytes, bool]],
    deadline: float,
) -> list[Change | DomainError]:
    """Read each (name, whether its value is wanted). Return a change or an error for each.

    What this release can't decode counts as absent, as in listings.
    """
    if not names:
        return []
    commands: list[Command] = []
    for name, with_value in names:
        if name.startswith(COUNTER):
            commands += (("GET", name), ("PTTL", name))
        else:
            commands.append(("GETRANGE", name, "0", _WHOLE if with_value else _HEAD))
    replies = iter(await link.execute(commands, deadline=deadline, repeatable=True))
    now_ms = clock.now_ms()
    return [
        _counter(name, next(replies), next(replies), now_ms)
        if name.startswith(COUNTER)
        else _entry(name, next(replies), now_ms, with_value=with_value)
        for name, with_value in names
    ]


def _entry(name: bytes, reply: Any, now_ms: int, *, with_value: bool) -> Change | DomainError:
    key = text_of(name)
    gone = Change(key, is_counter=False, exists=False)
    try:
        raw = checked(reply, changing=False)
        if not raw:
            return gone
        summary = entry_codec.summarise(key, raw, now_ms)
        whole = (
            entry_codec.decode(raw, now_ms)
            if with_value and summary.size <= MAX_TOLD_BYTES
            else None
        )
    except StoreCorrupt:
        return gone
    except DomainError as error:
        return error.with_traceback(None)
    return Change(
        key,
        is_counter=False,
        exists=True,
        etag=summary.etag,
        ttl_seconds=summary.ttl,
        expires_ms=entry_codec.expiry_of(raw),
        size=summary.size,
        content_type=summary.content_type,
        body=None if whole is None else whole.body,
        is_json=whole is not None and whole.is_json,
    )


def _counter(name: bytes, value: Any, left: Any, now_ms: int) -> Change | DomainError:
    text = text_of(name)
    gone = Change(text, is_counter=True, exists=False)
    try:
        raw = checked(value, changing=False)
        left_ms = checked(left, changing=False)
        if raw is None or left_ms == GONE:
            return gone
        number = parse_counter(raw)
    except StoreCorrupt:
        return gone
    except DomainError as error:
        return error.with_traceback(None)
    expires = left_ms >= 0
    return Change(
        text,
        is_counter=True,
        exists=True,
        etag=counter_etag(number),
        ttl_seconds=entry_codec.remaining_seconds(left_ms, 0) if expires else None,
        expires_ms=now_ms + left_ms if expires else 0,
        value=number,
    )
