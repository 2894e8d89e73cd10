"""What one watcher is to be told: the newest state of each name, in the order of the changes."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from ..domain.watching import Change
from ..telemetry.metrics import Metrics
from .budget import ByteBudget

#: What an event takes in memory beside the value.
EVENT_BYTES: Final = 512
#: Events are sent together up to so many bytes.
CHUNK_BYTES: Final = 32_768
#: The id of events before the present state is complete: nobody can resume from there.
NOWHERE: Final = "-"

_encode: Final = msgspec.json.Encoder().encode


class EntryEvent(msgspec.Struct, frozen=True, gc=False):
    """The data of the event ``entry``."""

    key: str
    etag: str
    ttl: int | None
    size: int
    content_type: str
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    value_b64: str | msgspec.UnsetType = msgspec.UNSET


class CounterEvent(msgspec.Struct, frozen=True, gc=False):
    """The data of the event ``counter``."""

    name: str
    value: int
    value_text: str
    ttl: int | None
    etag: str


def render(change: Change, *, with_value: bool) -> tuple[str, bytes]:
    """Return the event's name, and what follows its id."""
    found = change.rendered.get(with_value)
    if found is None:
        name, data = _data(change, with_value=with_value)
        found = change.rendered[with_value] = (name, render_event(name, data))
    return found


def _data(change: Change, *, with_value: bool) -> tuple[str, object]:
    if not change.exists:
        return "deleted", {"name" if change.is_counter else "key": change.name}
    if change.is_counter:
        value = change.value
        return "counter", CounterEvent(
            change.name, value, str(value), change.ttl_seconds, change.etag
        )
    value_json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    value_b64: str | msgspec.UnsetType = msgspec.UNSET
    if with_value and change.body is not None:
        if change.is_json:
            # A line break in JSON is white space between values; in an event it would end the data.
            body = change.body.replace(b"\n", b" ").replace(b"\r", b" ")
            value_json = msgspec.Raw(body)
        else:
            value_b64 = b64encode(change.body).decode("ascii")
    return "entry", EntryEvent(
        change.name,
        change.etag,
        change.ttl_seconds,
        change.size,
        change.content_type,
        value_json,
        value_b64,
    )


def render_event(name: str, data: object) -> bytes:
    return b"\nevent: %b\ndata: %b\n\n" % (name.encode("ascii"), _encode(data))


class _Mark(msgspec.Struct, frozen=True):
    """An event that is about no name."""

    name: str
    id: str
    data: dict[str, str]


class EventQueue:
    """The Watcher of one client. Bytes that wait are taken from the byte budget."""

    def __init__(
        self,
        metrics: Metrics,
        budget: ByteBudget,
        *,
        max_bytes: int,
        with_values: bool,
        is_prefix: bool,
        last_id: str = "",
    ) -> None:
        self._metrics = metrics
        self._budget = budget
        self._max_bytes = max_bytes
        self._with_values = with_values
        self._is_prefix = is_prefix
        self._resumed_id = last_id
        self._last_id = last_id or NOWHERE
        #: True once all of the present state was told, and was rendered.
        self._synced = False
        self._shown = False
        #: By name, or "" for a mark: names are never empty.
        self._pending: dict[str, tuple[Change | _Mark, bool]] = {}
        self._ready: deque[tuple[Change | _Mark, bool]] = deque()
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        #: Why the watch has ended; "" before.
        self.ended = ""
        #: Called at the end.
        self.on_end: Callable[[], None] | None = None

    # --- what the store calls --------------------------------------------------------------

    def tell(self, change: Change) -> None:
        if self.ended:
            return
        if not self._synced and not self._is_prefix and _own_id(change) == self._resumed_id:
            return  # what the client knew last
        with_value = self._with_values and change.body is not None
        size = len(change.body) if with_value and change.body is not None else 0
        if with_value and self._held + size > self._max_bytes // 2:
            with_value, size = False, 0
        known = self._pending.pop(change.name, None)
        if known is not None:
            self._release(_weight(known))
        item = change, with_value
        if self._take(_weight(item)):
            self._pending[change.name] = item
            self.wake()

    def sync(self, position: str) -> None:
        self._mark(_Mark("synced", position, {}))

    def reset(self, reason: str) -> None:
        if self.ended:
            return
        self._metrics.watch_resets[reason,] += 1
        self.clear()
        self._mark(_Mark("reset", NOWHERE, {"reason": reason}))

    def end(self, reason: str) -> None:
        if not self.ended:
            self.ended = reason
            self._has_room.set()
            self.wake()
            if self.on_end is not None:
                self.on_end()

    async def room(self, until: float) -> None:
        if self._has_room.is_set():
            return
        try:
            async with asyncio.timeout_at(until):
                await self._has_room.wait()
        except TimeoutError:
            self.end("slow")

    # --- what the stream calls -------------------------------------------------------------

    def next_chunk(self) -> bytes:
        """Return events to be sent; b"" if there are none."""
        if not self._ready:
            if not self._pending:
                return b""
            self._ready.extend(self._pending.values())
            self._pending.clear()
        parts: list[bytes] = []
        size = 0
        while self._ready and size < CHUNK_BYTES:
            item = self._ready.popleft()
            self._release(_weight(item))
            text = self._render(*item)
            size += len(text)
            parts.append(text)
        return b"".join(parts)

    async def wait(self) -> None:
        """Wait until there is something to send, the end, or ``wake``."""
        if self._pending or self._ready or self.ended:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def goodbye(self) -> bytes:
        """Return the last event."""
        self._metrics.watch_events["goodbye",] += 1
        return b"id: " + self._last_id.encode() + render_event("goodbye", {"reason": self.ended})

    def clear(self) -> None:
        """Drop what waits."""
        self._pending.clear()
        self._ready.clear()
        self._release(self._held)

    # --- inside ----------------------------------------------------------------------------

    def _mark(self, mark: _Mark) -> None:
        # In its place among the changes; a name is never empty, nor begins with a NUL.
        if not self.ended:
            self._synced = mark.name == "synced"
            key = f"\0{mark.name}"
            self._pending.pop(key, None)
            self._pending[key] = mark, False
            self.wake()

    def _render(self, item: Change | _Mark, with_value: bool) -> bytes:
        if isinstance(item, _Mark):
            name, text = item.name, render_event(item.name, item.data)
            self._shown = name == "synced"
            if item.id:
                self._last_id = item.id
        else:
            name, text = render(item, with_value=with_value)
            self._last_id = self._id_of(item)
        self._metrics.watch_events[name,] += 1
        return b"id: " + self._last_id.encode() + text

    def _id_of(self, change: Change) -> str:
        if not self._is_prefix:
            return _own_id(change)
        return change.position if self._shown else NOWHERE

    def _take(self, size: int) -> bool:
        """Take bytes for what waits. Without room, end the watch and return False."""
        if self._held + size > self._max_bytes or self._budget.held + size > self._budget.limit:
            self.end("slow")
            return False
        self._held += size
        self._budget.hold(size)
        if self._held > self._max_bytes // 4:
            self._has_room.clear()
        return True

    def _release(self, size: int) -> None:
        if size:
            self._held -= size
            self._budget.release(size)
            if self._held <= self._max_bytes // 4:
                self._has_room.set()

    def wake(self) -> None:
        """Let ``wait`` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _weight(item: tuple[Change | _Mark, bool]) -> int:
    change, with_value = item
    if isinstance(change, _Mark):
        return 0
    return EVENT_BYTES + (len(change.body) if with_value and change.body is not None else 0)


def _own_id(change: Change) -> str:
    """Return the id of a single entry's or counter's state: its ETag."""
    return change.etag.strip('"') if change.exists else "absent"
