"""Pages of names, by SCAN: bounded work a page, and honest when the server changed in between.

SCAN promises every key that stood throughout only on one server process: another one, promoted or
restarted, walks in another order. So a cursor names the process it walks, and one that outlived its
process is refused instead of silently skipping keys.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from ..domain.errors import CursorInvalid, StoreCorrupt
from ..domain.model import CounterSummary, EntrySummary, Page
from . import record
from .clock import ServerClock
from .link import Command, Link, NodeLink
from .names import counter_pattern, entry_pattern, text_of
from .refusals import checked

#: Round trips of SCAN to a page, at most; a page that found little by then ends short.
MAX_ROUNDS: Final = 8
#: Names one SCAN looks at when the pattern matches few of them.
SPARSE_COUNT: Final = 1000
#: SCAN ends a step with a whole bucket: room for the names above the count asked for.
BUCKET_SLACK: Final = 8


#: PTTL's answer for a name that is not there.
GONE: Final = -2


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a listing stands: which server of which, its process, SCAN's own cursor.

    ``given`` holds digests of the names already given of the bucket at ``position``, which had
    more names than the page had room for.
    """

    node: int = 0
    run_id: str = ""
    position: int = 0
    pattern: bytes = b""
    given: tuple[bytes, ...] = ()
    servers: bytes = b""


def parse_cursor(text: str | None, pattern: bytes) -> Cursor:
    """Read a cursor of this listing; raise CursorInvalid."""
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


def server_facts(info: bytes) -> dict[str, str]:
    """Read INFO's ``name:value`` lines."""
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def integer_of(raw: bytes) -> int:
    """Read a counter's digits; raise StoreCorrupt."""
    try:
        return int(raw)
    except ValueError:
        raise StoreCorrupt("the store holds something else than a counter there") from None


class Walk:
    """One page's walk over the servers: ``step`` until the page is full or the rounds are up."""

    def __init__(
        self, nodes: Sequence[NodeLink], layout: str, cursor: Cursor, pattern: bytes, limit: int
    ) -> None:
        # Servers are walked one by one: once keys have other places, some would be skipped.
        servers = digest(layout.encode())
        if cursor.servers not in {b"", servers} or cursor.node >= len(nodes):
            raise CursorInvalid("cursor: the store's servers have changed; start again")
        self._nodes = nodes
        self._pattern = pattern
        self._limit = limit
        self._cursor = msgspec.structs.replace(cursor, servers=servers)
        self._count = limit
        self.names: dict[bytes, None] = {}
        self.done = False

    @property
    def next_cursor(self) -> str | None:
        return None if self.done else render_cursor(self._cursor)

    async def run(self, deadline: float) -> None:
        for _ in range(MAX_ROUNDS):
            if self.done or len(self.names) >= self._limit:
                return
            await self._step(deadline)

    async def _step(self, deadline: float) -> None:
        cursor = self._cursor
        room = self._limit - len(self.names)
        count = 1 if cursor.given else max(1, min(self._count, SPARSE_COUNT) - BUCKET_SLACK)
        node = self._nodes[cursor.node]
        position, found = await self._scan(node, cursor.position, count, deadline)
        fresh = [n for n in found if n not in self.names and digest(n) not in cursor.given]
        fresh = list(dict.fromkeys(fresh))
        if len(fresh) > room:
            if count > 1:
                self._count = count // 4
                return
            fresh = fresh[:room]
            given = (*cursor.given, *map(digest, fresh))
            self._cursor = msgspec.structs.replace(self._cursor, given=given)
        else:
            self._count = SPARSE_COUNT if len(fresh) * 4 < count else room - len(fresh)
            self._advance(position)
        self.names.update(dict.fromkeys(fresh))

    async def _scan(
        self, node: NodeLink, position: int, count: int, deadline: float
    ) -> tuple[int, list[bytes]]:
        commands: list[Command] = [
            ("SCAN", str(position), "MATCH", self._pattern, "COUNT", str(count)),
            ("INFO", "server"),
        ]
        scanned, info = await node.execute(commands, deadline=deadline, repeatable=True)
        after, found = checked(scanned, changing=False)
        run_id = server_facts(checked(info, changing=False))["run_id"]
        if self._cursor.run_id not in {"", run_id}:
            raise CursorInvalid(
                "cursor: the store's server was restarted or replaced; start the listing again"
            )
        self._cursor = msgspec.structs.replace(self._cursor, run_id=run_id)
        return int(after), found

    def _advance(self, position: int) -> None:
        node, run_id = self._cursor.node, self._cursor.run_id
        if position == 0:
            node, run_id = node + 1, ""
            self.done = node == len(self._nodes)
        self._cursor = msgspec.structs.replace(
            self._cursor, node=node, run_id=run_id, position=position, given=()
        )


async def _walked(
    link: Link, cursor: str | None, pattern: bytes, limit: int, deadline: float
) -> Walk:
    nodes = await link.primaries()
    walk = Walk(nodes, link.layout(), parse_cursor(cursor, pattern), pattern, limit)
    await walk.run(deadline)
    return walk


async def list_entries(
    link: Link, clock: ServerClock, prefix: str, limit: int, cursor: str | None, deadline: float
) -> Page[EntrySummary]:
    """Return a page as the port promises; an entry that this release can't read is left out."""
    walk = await _walked(link, cursor, entry_pattern(prefix), limit, deadline)
    last = str(record.HEADER_BYTES - 1)
    commands: list[Command] = [("GETRANGE", name, "0", last) for name in walk.names]
    heads = await link.execute(commands, deadline=deadline, repeatable=True) if commands else []
    items = []
    for name, head in zip(walk.names, heads, strict=True):
        try:
            if checked(head, changing=False):
                items.append(record.summarise(text_of(name), head, clock.now_ms()))
        except StoreCorrupt:
            continue
    return Page(items, walk.next_cursor)


async def list_counters(
    link: Link, prefix: str, limit: int, cursor: str | None, deadline: float
) -> Page[CounterSummary]:
    """Return a page as the port promises; what is no counter is left out."""
    walk = await _walked(link, cursor, counter_pattern(prefix), limit, deadline)
    commands: list[Command] = [
        command for name in walk.names for command in (("GET", name), ("PTTL", name))
    ]
    replies = await link.execute(commands, deadline=deadline, repeatable=True) if commands else []
    items = []
    for name, value, left in zip(walk.names, replies[::2], replies[1::2], strict=True):
        try:
            # Deleted, or expired between the two answers.
            if checked(value, changing=False) is None or checked(left, changing=False) == GONE:
                continue
            number = integer_of(value)
            ttl = record.remaining_seconds(left, 0) if left >= 0 else None
            items.append(CounterSummary(text_of(name), number, str(number), ttl))
        except StoreCorrupt:
            continue
    return Page(items, walk.next_cursor)
