"""What is watched, what is told of it, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

#: The largest value that a change carries, in bytes.
MAX_TOLD_BYTES: Final = 65_536


class Subject(msgspec.Struct, frozen=True):
    """An entry, a counter, or all of them whose names begin with a prefix."""

    name: str
    is_counter: bool
    is_prefix: bool
    #: Of a prefix: only the names that begin with one of these, too; (): all.
    within: tuple[str, ...] = ()
    #: False: changes of entries need no values.
    with_values: bool = True


class Change(msgspec.Struct, gc=False):
    """The newest state of an entry or a counter. ``exists`` is False if there is none."""

    name: str
    is_counter: bool
    exists: bool
    #: What to resume from, once it was told; "" in the present state, which is told from its start.
    position: str = ""
    etag: str = ""
    ttl_seconds: int | None = None
    #: When it expires, in ms by the store's clock; 0: never.
    expires_ms: int = 0
    size: int = 0
    content_type: str = ""
    #: None: not read, or larger than MAX_TOLD_BYTES.
    body: bytes | None = None
    is_json: bool = False
    value: int = 0
    #: What the change looks like on the wire. Many watchers are told the same one.
    rendered: dict[bool, Any] = {}


class Watcher(Protocol):
    """Who is told. The store calls these from the event loop; all but ``room`` return at once."""

    def tell(self, change: Change) -> None:
        """Take the newest state of one name. It replaces what was told of that name before."""

    def sync(self, position: str) -> None:
        """Learn that the present state was told, and that changes follow."""

    def reset(self, reason: str) -> None:
        """Forget all: something may have been missed. The present state follows."""

    def end(self, reason: str) -> None:
        """Learn that nothing more will be told."""

    async def room(self, until: float) -> None:
        """Wait until there is room for a page of the present state, or the watch has ended.

        A watch that has no room at ``until``, in loop time, ends.
        """


#: Ends a watch.
EndWatch = Callable[[], None]
