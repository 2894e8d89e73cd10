"""Operations on many entries in Redis at once: how reads and writes of one loop turn travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..domain.errors import DomainError, KeyMissing, StoreCorrupt, StoreUnavailable
from ..domain.model import Draft, Entry, Key, Unread, Written
from . import entry_codec, scripts
from .access import RedisAccess, ttl_argument
from .link import Link
from .names import entry_name
from .packing import word_of
from .redis_errors import domain_error_of
from .wire import Reply


class RedisBulkEntries(RedisAccess):
    """Reads and writes of many entries. Each has a result or a DomainError of its own."""

    def __init__(self, link: Link, *, timeout_seconds: float, operation_ttl_seconds: int) -> None:
        super().__init__(
            link, timeout_seconds=timeout_seconds, operation_ttl_seconds=operation_ttl_seconds
        )
        self.versions = entry_codec.Versions()

    async def mget(
        self, keys: Sequence[Key], deadline: float | None = None
    ) -> list[Entry | DomainError]:
        """Read all keys, of whatever size."""
        names = [entry_name(key) for key in keys]
        replies = await self.execute_groups(
            names, lambda group: ("MGET", *[names[i] for i in group]), deadline, repeatable=True
        )
        if len(replies) == 1:
            return self._entries_of(replies[0][1], len(keys))
        outcomes: list[Entry | DomainError] = [KeyMissing()] * len(keys)
        for group, reply in replies:
            for i, outcome in zip(group, self._entries_of(reply, len(group)), strict=True):
                outcomes[i] = outcome
        return outcomes

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        try:
            return await self.turns.run(
                room, self.deadline(), lambda deadline: self._read_many(keys, room, deadline)
            )
        except StoreUnavailable as refusal:
            return [refusal.copy() for _ in keys]

    async def _read_many(
        self, keys: Sequence[Key], room: int, deadline: float
    ) -> list[Entry | Unread | DomainError]:
        names = [entry_name(key) for key in keys]
        replies = await self.execute_groups(
            names,
            lambda group: (
                scripts.READ_MANY,
                len(group),
                *[names[i] for i in group],
                room * len(group) // len(names),
                entry_codec.HEADER_BYTES,
            ),
            deadline,
            repeatable=True,
        )
        (_, first), *more = replies
        if not more and not isinstance(first, Exception) and list not in set(map(type, first)):
            return list(self._entries_of(first, len(keys)))
        outcomes: list[Entry | Unread | DomainError] = [KeyMissing()] * len(keys)
        for group, reply in replies:
            headers = {}
            parts = reply
            if not isinstance(reply, Exception):
                headers = {at: part[0] for at, part in enumerate(reply) if type(part) is list}
                parts = [None if at in headers else part for at, part in enumerate(reply)]
            found: list[Any] = list(self._entries_of(parts, len(group)))
            for at, header in headers.items():
                found[at] = _unread(header)
            for i, outcome in zip(group, found, strict=True):
                outcomes[i] = outcome
        return outcomes

    def _entries_of(self, reply: Reply, size: int) -> list[Entry | DomainError]:
        if isinstance(reply, Exception):
            return [domain_error_of(reply, changing=False) for _ in range(size)]
        now = self.clock.now_ms()
        present = [raw for raw in reply if raw is not None]
        entries: Iterable[Entry | StoreCorrupt]
        try:
            entries = entry_codec.decode_all(present, now)
        except StoreCorrupt:  # one of them is unreadable: decode each on its own
            entries = [entry_codec.try_decode(raw, now) for raw in present]
        if len(present) == len(reply):
            return list(entries)
        entries = iter(entries)
        return [KeyMissing() if raw is None else next(entries) for raw in reply]

    async def write_many(
        self, drafts: Sequence[tuple[Key, Draft]], deadline: float | None = None
    ) -> list[Written | DomainError]:
        size = sum([len(draft.body) for _, draft in drafts])
        deadline = self.deadline() if deadline is None else deadline
        try:
            return await self.turns.run(
                size, deadline, lambda deadline: self._write_many(drafts, deadline)
            )
        except StoreUnavailable as refusal:
            return [refusal.copy() for _ in drafts]

    async def _write_many(
        self, drafts: Sequence[tuple[Key, Draft]], deadline: float
    ) -> list[Written | DomainError]:
        names: list[bytes] = []
        packed: list[tuple[Any, ...]] = []
        etags: list[bytes] = []
        for key, draft in drafts:
            version = self.versions.next()
            names.append(entry_name(key))
            etags.append(version)
            head, tail = entry_codec.encode(draft, version)
            packed.append((head, word_of(tail), ttl_argument(draft.ttl)))
        replies = await self.execute_groups(
            names,
            lambda group: (
                scripts.PUT_MANY,
                len(group),
                *[names[i] for i in group],
                *[word for i in group for word in packed[i]],
            ),
            deadline,
        )
        outcomes: list[Written | DomainError] = [KeyMissing()] * len(drafts)
        for group, reply in replies:
            if isinstance(reply, Exception):
                for i in group:
                    outcomes[i] = domain_error_of(reply, changing=True)
                continue
            for at, i in enumerate(group, 1):
                if isinstance(reply[at], Exception):
                    outcomes[i] = domain_error_of(reply[at], changing=True)
                    continue
                ttl = drafts[i][1].ttl
                outcomes[i] = Written(
                    entry_codec.etag_of(etags[i]),
                    ttl if ttl != "keep" else None,
                    reply[0] // 1000,
                    reply[at] == 1,
                )
        return outcomes


def _unread(header: bytes) -> Unread | DomainError:
    try:
        return Unread(entry_codec.summarise("", header, 0).size)
    except DomainError as error:
        return error.with_traceback(None)
