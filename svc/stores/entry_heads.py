"""The heads of a page's entries: what a listing tells of them, and the bytes of their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ..domain.errors import StoreCorrupt
from ..domain.model import EntrySummary
from . import entry_codec
from .clock import ServerClock
from .link import Command, Link
from .names import text_of
from .redis_errors import checked
from .wire import Reply

_LAST: Final = entry_codec.HEADER_BYTES - 1


class EntryHeads:
    """Reads each head once."""

    def __init__(self, link: Link, clock: ServerClock, deadline: float) -> None:
        self._link = link
        self._clock = clock
        self._deadline = deadline
        self._found: dict[bytes, EntrySummary | None] = {}

    async def read(self, names: Iterable[bytes]) -> list[EntrySummary]:
        """Return the entries of these names, without those that are gone or can't be decoded."""
        names = list(names)
        await self._fetch(names)
        return [found for name in names if (found := self._found[name]) is not None]

    async def fitting(self, taken: Iterable[bytes], names: Sequence[bytes], most_bytes: int) -> int:
        """Return how many of the names fit beside those taken; one, if none is taken yet."""
        await self._fetch(names)
        left = most_bytes - sum(map(self._size_of, taken))
        is_first = left == most_bytes
        for at, name in enumerate(names):
            size = self._size_of(name)
            if size > left and not is_first:
                return at
            is_first = is_first and not size
            left -= size
        return len(names)

    def _size_of(self, name: bytes) -> int:
        found = self._found[name]
        return 0 if found is None else found.size

    async def _fetch(self, names: Sequence[bytes]) -> None:
        missing = [name for name in names if name not in self._found]
        if not missing:
            return
        commands: list[Command] = [("GETRANGE", name, "0", str(_LAST)) for name in missing]
        heads = await self._link.execute(commands, deadline=self._deadline, repeatable=True)
        for name, head in zip(missing, heads, strict=True):
            self._found[name] = self._summarise(name, head)

    def _summarise(self, name: bytes, reply: Reply) -> EntrySummary | None:
        try:
            head = checked(reply, changing=False)
            return (
                entry_codec.summarise(text_of(name), head, self._clock.now_ms()) if head else None
            )
        except StoreCorrupt:
            return None
