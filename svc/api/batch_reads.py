"""Read the entries of a batch, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..domain.errors import DomainError, OutcomeUnknown, Overloaded, StoreUnavailable
from ..domain.model import Entry, Key, Unread
from ..domain.store import Store

#: The bytes that are read before the sizes of the entries are known, and then in each portion; a
#: portion has one entry at least.
FIRST_READ_BYTES: Final = 1 << 18
READ_BYTES: Final = 1 << 22
#: More than a record takes beside its body.
RECORD_BYTES: Final = 512


async def read_entries(
    store: Store,
    keys: Sequence[Key],
    room: int,
    take: Callable[[int], None],
    sizes: Sequence[int] | None = None,
) -> dict[str, Entry | DomainError]:
    """Read entries of at most ``room`` bytes together. Return them, or their errors, by key.

    The result lacks the entries that do not fit, and those left when the store failed to answer.

    The first portion returns small entries, and the sizes of those that do not fit into it. Each
    further portion has the next of those. It begins with these where ``sizes`` are known.
    ``take`` takes a portion's bytes from the budget before, and raises Overloaded.
    """
    found: dict[str, Entry | DomainError] = {}
    waiting = list(zip(keys, sizes or [0] * len(keys), strict=True))
    is_known = sizes is not None
    while waiting and room >= waiting[0][1]:
        portion, size = _next_portion(waiting, min(READ_BYTES, room))
        if size:
            try:
                take(size)
            except Overloaded as refusal:
                refusal.__traceback__ = None
                return found | {key.text: refusal for key, _ in waiting}
        outcomes = await store.read_many(
            [key for key, _ in portion],
            # Without room for the records of empty entries, too, none might ever fit: a Cluster
            # divides it among commands.
            size + len(portion) * RECORD_BYTES if is_known else FIRST_READ_BYTES,
        )
        is_known = True
        if len(portion) == len(keys) and set(map(type, outcomes)) == {Entry}:
            pairs: Any = zip(keys, outcomes, strict=True)  # a fast way for most batches
            return {key.text: entry for key, entry in pairs}
        unread: list[tuple[Key, int]] = []
        failed = False
        for (key, _), outcome in zip(portion, outcomes, strict=True):
            if isinstance(outcome, Unread):
                unread.append((key, outcome.size))
            else:
                if isinstance(outcome, Entry) and key.text not in found:
                    room -= len(outcome.body)
                found[key.text] = outcome
                failed |= isinstance(outcome, StoreUnavailable | OutcomeUnknown)
        if failed:
            return found
        waiting = unread + waiting[len(portion) :]
    return found


def _next_portion(
    waiting: Sequence[tuple[Key, int]], room: int
) -> tuple[list[tuple[Key, int]], int]:
    """Return the first entries of ``room`` bytes together, one at least, and their bytes.

    An entry that is named more than once is read once.
    """
    size, counted = 0, set()
    for n, (key, each) in enumerate(waiting):
        if each and key.text not in counted:
            if n and size + each > room:
                return list(waiting[:n]), size
            counted.add(key.text)
            size += each
    return list(waiting), size
