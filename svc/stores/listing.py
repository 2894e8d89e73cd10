"""Pages of entries and counters, read by SCAN with a bounded amount of work for each page.

Redis has no order of keys, so a listing walks all of them, whatever its prefix. A page that has
found nothing yet goes on for a time: an empty page costs its client a round trip.

SCAN returns every key that exists throughout, but only within one server process: a restarted or
promoted server has another order. So a cursor names its server process, and is refused when that
process has gone. Otherwise the listing could skip keys silently.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from os.path import commonprefix
from typing import Final

import msgspec

from ..domain.errors import CursorInvalid, StoreCorrupt
from ..domain.model import INT64_MAX, INT64_MIN, CounterSummary, EntrySummary, Page
from ..telemetry.loop_clock import loop_clock
from . import entry_codec
from .clock import ServerClock
from .entry_heads import EntryHeads
from .link import Command, Link
from .names import NAME_START, counter_pattern, entry_pattern, text_of
from .redis_errors import checked

#: The most SCAN commands for one page that has names. The page then ends, perhaps short.
MAX_ROUNDS: Final = 8
#: How long a page without names goes on. At most this part of the time until its deadline: what it
#: finds at last has to be read, too.
EMPTY_PAGE_SECONDS: Final = 0.2
EMPTY_PAGE_PART: Final = 0.4
#: SCAN's COUNT when few keys match the pattern.
SPARSE_COUNT: Final = 1000
#: SCAN returns whole hash buckets, so it may return more keys than COUNT: leave room for these.
BUCKET_SLACK: Final = 8

#: What Redis writes and reads as an integer: no sign of plus, spaces, leading zeros or underscores.
_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")

#: Returns how many of the names, one after the other, fit into a page that has others already.
Fitting = Callable[[Iterable[bytes], Sequence[bytes]], Awaitable[int]]

#: PTTL's reply for a key that does not exist.
GONE: Final = -2


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A position in a listing."""

    #: The index of the server in ``Link.primaries``, and the id of its process (INFO's run_id).
    node: int = 0
    run_id: str = ""
    #: SCAN's own cursor on that server.
    position: int = 0
    pattern: bytes = b""
    #: Digests of the names already returned from the bucket at ``position``, if the last page
    #: had no room for the whole bucket.
    returned: tuple[bytes, ...] = ()
    #: A digest of ``Link.layout``.
    servers: bytes = b""


def parse_cursor(text: str | None, pattern: bytes) -> Cursor:
    """Decode a cursor of a listing with this pattern; None begins it. Raises CursorInvalid."""
    if text is None:
        return Cursor(pattern=pattern)
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        cursor = msgspec.msgpack.decode(raw, type=Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise CursorInvalid("cursor: it was not made here; start the listing again") from None
    if cursor.pattern != pattern:
        raise CursorInvalid("cursor: it belongs to another listing")
    if cursor.node < 0 or not 0 <= cursor.position < 2**64:
        raise CursorInvalid("cursor: it was not made here; start the listing again")
    return cursor


def render_cursor(cursor: Cursor) -> str:
    raw = msgspec.msgpack.encode(cursor)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def digest(name: bytes) -> bytes:
    return blake2b(name, digest_size=8).digest()


def parse_info(info: bytes) -> dict[str, str]:
    """Parse INFO's ``name:value`` lines."""
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def parse_counter(raw: bytes) -> int:
    """Parse a counter's digits, exactly as INCRBY does. Raises StoreCorrupt."""
    if _INTEGER.fullmatch(raw) and INT64_MIN <= (value := int(raw)) <= INT64_MAX:
        return value
    raise StoreCorrupt("the store holds something else than a counter there")


class PageScan:
    """Collects the names of one page, from one server after another."""

    def __init__(
        self,
        nodes: Sequence[Link],
        layout: str,
        cursor: Cursor,
        pattern: bytes,
        limit: int,
        within: tuple[bytes, ...],
        fitting: Fitting | None = None,
    ) -> None:
        # The servers are scanned one after the other. If keys have moved between them since the
        # last page, the listing could skip some.
        servers = digest(layout.encode())
        if cursor.servers not in {b"", servers} or cursor.node >= len(nodes):
            raise CursorInvalid("cursor: the store's servers have changed; start again")
        self._nodes = nodes
        self._pattern = pattern
        self._limit = limit
        self._within = within
        self._cursor = msgspec.structs.replace(cursor, servers=servers)
        self._fitting = fitting
        self._count = limit
        #: No COUNT is greater once that many names were more than fit.
        self._most_count = SPARSE_COUNT
        self._is_full = False
        self.names: dict[bytes, None] = {}
        self.done = False

    @property
    def next_cursor(self) -> str | None:
        return None if self.done else render_cursor(self._cursor)

    async def run(self, deadline: float) -> None:
        """Scan until the page is full, the listing ends, or the page has had its work or time."""
        now = loop_clock().now
        began = now()
        until = began + min(EMPTY_PAGE_SECONDS, (deadline - began) * EMPTY_PAGE_PART)
        rounds = 0
        while not (self.done or self._is_full or len(self.names) >= self._limit):
            if rounds >= MAX_ROUNDS and (self.names or now() >= until):
                return
            await self._scan_once(deadline)
            rounds += 1

    async def _scan_once(self, deadline: float) -> None:
        cursor = self._cursor
        room = self._limit - len(self.names)
        count = max(1, min(self._count, SPARSE_COUNT) - BUCKET_SLACK)
        count = 1 if cursor.returned else min(count, self._most_count)
        node = self._nodes[cursor.node]
        position, found = await self._scan(node, cursor.position, count, deadline)
        fresh = [n for n in found if n not in self.names and digest(n) not in cursor.returned]
        fresh = list(dict.fromkeys(fresh))
        fits = min(room, len(fresh))
        if self._fitting is not None and fits:
            few = await self._fitting(self.names, fresh[:fits])
            if few < fits and self.names:
                self._is_full = True
                return
            if few < fits and count > 1:
                self._most_count = max(1, min(count // 4, count * few // len(fresh)))
                return
            self._is_full = few < fits
            fits = few
        if len(fresh) > fits:
            if count > 1:  # scan the same position again, for fewer names
                self._count = count // 4
                return
            fresh = fresh[:fits]
            returned = (*cursor.returned, *map(digest, fresh))
            self._cursor = msgspec.structs.replace(self._cursor, returned=returned)
        else:
            self._count = SPARSE_COUNT if len(fresh) * 4 < count else room - len(fresh)
            self._advance(position)
        self.names.update(dict.fromkeys(fresh))

    async def _scan(
        self, node: Link, position: int, count: int, deadline: float
    ) -> tuple[int, list[bytes]]:
        commands: list[Command] = [
            ("SCAN", str(position), "MATCH", self._pattern, "COUNT", str(count)),
            ("INFO", "server"),
        ]
        scanned, info = await node.execute(commands, deadline=deadline, repeatable=True)
        after, found = checked(scanned, changing=False)
        run_id = parse_info(checked(info, changing=False))["run_id"]
        if self._cursor.run_id not in {"", run_id}:
            raise CursorInvalid(
                "cursor: the store's server was restarted or replaced; start the listing again"
            )
        self._cursor = msgspec.structs.replace(self._cursor, run_id=run_id)
        if self._within:
            found = [name for name in found if name.startswith(self._within, NAME_START)]
        return int(after), found

    def _advance(self, position: int) -> None:
        node, run_id = self._cursor.node, self._cursor.run_id
        if position == 0:
            node, run_id = node + 1, ""
            self.done = node == len(self._nodes)
        self._cursor = msgspec.structs.replace(
            self._cursor, node=node, run_id=run_id, position=position, returned=()
        )


async def scan_page(
    link: Link,
    cursor: str | None,
    pattern: bytes,
    limit: int,
    deadline: float,
    within: tuple[str, ...],
    fitting: Fitting | None = None,
) -> PageScan:
    """Return the scan of one page, which has its names. Raises CursorInvalid, StoreUnavailable."""
    nodes = await link.primaries(deadline)
    prefixes = tuple(prefix.encode() for prefix in within)
    start = parse_cursor(cursor, pattern)
    scan = PageScan(nodes, link.layout(), start, pattern, limit, prefixes, fitting)
    await scan.run(deadline)
    return scan


def narrowed(prefix: str, within: tuple[str, ...]) -> str:
    """Return the longest prefix that all names of the page have. Redis searches for that."""
    shared: str = commonprefix(within)  # noqa: RUF071 - character by character is what is wanted
    return max(prefix, shared, key=len)


async def list_entries(
    link: Link,
    clock: ServerClock,
    prefix: str,
    limit: int,
    cursor: str | None,
    deadline: float,
    within: tuple[str, ...] = (),
    most_bytes: int | None = None,
) -> Page[EntrySummary]:
    """Return a page as Store.list_entries does, without the entries that can't be decoded."""
    pattern = entry_pattern(narrowed(prefix, within))
    heads = EntryHeads(link, clock, deadline)
    fitting = None if most_bytes is None else partial(heads.fitting, most_bytes=most_bytes)
    scan = await scan_page(link, cursor, pattern, limit, deadline, within, fitting)
    return Page(await heads.read(scan.names), scan.next_cursor)


async def list_counters(
    link: Link,
    prefix: str,
    limit: int,
    cursor: str | None,
    deadline: float,
    within: tuple[str, ...] = (),
) -> Page[CounterSummary]:
    """Return a page as Store.list_counters does, without values that are not integers."""
    pattern = counter_pattern(narrowed(prefix, within))
    scan = await scan_page(link, cursor, pattern, limit, deadline, within)
    commands: list[Command] = [
        command for name in scan.names for command in (("GET", name), ("PTTL", name))
    ]
    replies = await link.execute(commands, deadline=deadline, repeatable=True) if commands else []
    items = []
    for name, value, left in zip(scan.names, replies[::2], replies[1::2], strict=True):
        try:
            # Deleted since the SCAN, or expired between the two replies.
            if checked(value, changing=False) is None or checked(left, changing=False) == GONE:
                continue
            number = parse_counter(value)
            ttl = entry_codec.remaining_seconds(left, 0) if left >= 0 else None
            items.append(CounterSummary(text_of(name), number, str(number), ttl))
        except StoreCorrupt:
            continue
    return Page(items, scan.next_cursor)
