"""List entries with their values: ``GET /v1/kv?include=value``."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from ..domain.errors import KeyMissing, StoreCorrupt
from ..domain.model import Entry, EntrySummary, Key, Page, Unread
from .batch_reads import read_entries
from .bodies import EntryListed, ListEntriesQuery
from .budget import take_bytes
from .context import STORE
from .limits import LIMITS

#: The most bytes of the values of a page, unless one of them alone has more.
PAGE_BYTES: Final = 1 << 20


async def list_with_values(request: web.Request, query: ListEntriesQuery) -> Page[EntrySummary]:
    """Return a page whose entries have their values, without those that are gone by now."""
    limits, store = request.app[LIMITS], request.app[STORE]
    page = await store.list_entries(
        query.prefix,
        int(query.limit),
        query.cursor,
        most_bytes=min(PAGE_BYTES, limits.max_batch_bytes),
    )
    # Room for what grew since it was listed.
    room = max(sum(each.size for each in page.items), limits.max_batch_bytes)
    keys = [Key(each.key) for each in page.items]
    sizes = [Unread(each.size) for each in page.items]
    found = await read_entries(store, keys, sizes, room, partial(take_bytes, request))
    items: list[EntrySummary] = []
    for summary in page.items:
        outcome = found.get(summary.key)
        if isinstance(outcome, Entry):
            items.append(_with_value(summary.key, outcome))
        elif outcome is None:
            items.append(summary)
        elif not isinstance(outcome, KeyMissing | StoreCorrupt):
            raise outcome.copy()  # its traceback would keep the values
    # The values are copied into the answer, and base64 has four bytes for three.
    take_bytes(request, sum(_size_in_answer(each) for each in items))
    return Page(items, page.next_cursor)


def _with_value(key: str, entry: Entry) -> EntryListed:
    body = entry.body
    value = msgspec.Raw(body) if entry.is_json else msgspec.UNSET
    value_b64 = msgspec.UNSET if entry.is_json else body
    return EntryListed(
        key, entry.etag, entry.ttl_seconds, len(body), entry.content_type, value, value_b64
    )


def _size_in_answer(item: EntrySummary) -> int:
    if isinstance(item, EntryListed) and isinstance(item.value_b64, bytes):
        return (item.size + 2) // 3 * 4
    return item.size
