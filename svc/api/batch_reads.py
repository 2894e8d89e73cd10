"""Read the entries of a batch, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..domain.errors import DomainError, OutcomeUnknown, Overloaded, StoreUnavailable
from ..domain.model import Entry, Key, Unread
from ..domain.store import Store

#: The bytes that are read before the sizes of the entries are known. The answer has small entries,
#: and the sizes of those that do not fit.
FIRST_READ_BYTES: Final = 1 << 18
#: The bytes that are then read in each portion, which has one entry at least.
READ_BYTES: Final = 1 << 22
#: More than a record takes beside its body.
RECORD_BYTES: Final = 512


async def read_entries(
    store: Store,
    keys: Sequence[Key],
    known: Sequence[Entry | Unread | DomainError],
    room: int,
    take: Callable[[int], None],
) -> dict[str, Entry | DomainError]:
    """Read what is unread of the entries, at most ``room`` bytes of all. Return them by key.

    ``known`` is what is known of each before: the entry, its error, or its size. The result lacks
    the entries that do not fit, and those left when the store failed to answer. ``take`` takes a
    portion's bytes from the budget before, and raises Overloaded.
    """
    found: dict[str, Entry | DomainError] = {}
    outcomes = list(zip(keys, known, strict=True))
    waiting: list[tuple[Key, int]] = []
    while True:
        unread: list[tuple[Key, int]] = []
        failed = False
        for key, outcome in outcomes:
            if isinstance(outcome, Unread):
                unread.append((key, outcome.size))
            else:
                if isinstance(outcome, Entry) and key.text not in found:
                    room -= len(outcome.body)
                found[key.text] = outcome
                failed |= isinstance(outcome, StoreUnavailable | OutcomeUnknown)
        waiting = unread + waiting
        if failed or not waiting or room < waiting[0][1]:
            return found
        portion, size = _next_portion(waiting, min(READ_BYTES, room))
        if size:
            try:
                take(size)
            except Overloaded as refusal:
                refusal.__traceback__ = None
                return found | {key.text: refusal for key, _ in waiting}
        waiting = waiting[len(portion) :]
        names = [key for key, _ in portion]
        # Without room for the records of empty entries, too, none might ever fit: a Cluster divides
        # it among commands.
        read = await store.read_many(names, size + len(portion) * RECORD_BYTES)
        outcomes = list(zip(names, read, strict=True))


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
