"""What all watchers of a process share: one subscription a server, one reading of each change.

Redis tells only names. A name that somebody watches is read again, after it was told, and at most
once at a time: so what is told of one name is never older than what was told before. Names told
while they wait to be read, or while they are read, are read once more: states may be left out, the
last one is not. What may have been missed while a server was not subscribed is read as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import Context
from typing import Final

from ...domain.errors import DomainError, StoreUnavailable
from ...domain.watching import Change, EndWatch, Subject, Watcher
from ...telemetry.loop_clock import loop_clock
from ..clock import ServerClock
from ..link import Link
from .expiries import Expiries
from .feeds import Feeds, NameFeed, PrefixFeed, redis_name, wants_value
from .present import Presents
from .servers import Servers
from .states import read_states

#: Names read together: without and with values, of up to MAX_TOLD_BYTES each.
MOST_NAMES: Final = 128
MOST_VALUES: Final = 16
#: The pause after the store refused to be read, in seconds.
RETRY_SECONDS: Final = 0.1
#: How long the subscriptions, and the feed of a prefix, outlive the last watcher.
LINGER_SECONDS: Final = 10.0
#: The names whose last changes are known, for watchers that resume.
MOST_REMEMBERED: Final = 10_000
#: How long a reading may take, in seconds: a server that hangs shall be asked again soon.
READ_SECONDS: Final = 0.5

log = logging.getLogger(__name__)


class Hub:
    """Tells watchers the present state and all later ones. Idle while nobody watches."""

    def __init__(self, link: Link, clock: ServerClock, timeout_seconds: float) -> None:
        self._link = link
        self._clock = clock
        self._timeout = timeout_seconds
        self.feeds = Feeds()
        #: Names that are to be read, by their server: one that hangs delays no other; and whether
        #: they changed. If not, only those who watch this one name are told.
        self._dirty: dict[Link, dict[bytes, bool]] = {}
        self._reading: dict[bytes, bool] = {}
        self._readers: dict[Link, asyncio.Task[None]] = {}
        self._servers: Servers | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._expiries = Expiries(clock, self._mark, self._note_all)
        self._presents = Presents(self, link, clock)
        self._epoch = ""
        self._sequence = 0
        #: By name, the number of its last change; up to which number some are forgotten.
        self._remembered: OrderedDict[bytes, int] = OrderedDict()
        self._forgotten = 0

    async def watch(self, subject: Subject, watcher: Watcher, since: str = "") -> EndWatch:
        """Begin to tell the watcher. Raises StoreUnavailable if the store can't be watched now."""
        self._start()
        name = None if subject.is_prefix else redis_name(subject)
        try:
            await self._ready(name)
            if name is None:
                feed = self._feed_of(subject)
                feed.members.add(watcher)
                feed.waiting[watcher] = since
                self._presents.start(feed)
            else:
                self.feeds.names.setdefault(name, NameFeed()).waiting.add(watcher)
                self._mark(name, has_changed=False)
        finally:
            self._stop_soon()
        return lambda: self._end(subject, name, watcher)

    def _feed_of(self, subject: Subject) -> PrefixFeed:
        """Return the prefix's feed, which is made if there is none yet."""
        feed = self.feeds.prefixes.get(subject)
        if feed is None:
            # A number of its own: no position that was told before is one of this feed. What
            # changed while nobody watched the prefix has no number.
            self._sequence += 1
            feed = PrefixFeed(subject, self._sequence)
            self.feeds.add(feed)
        return feed

    def close(self) -> None:
        """End what runs in the background."""
        self._stop()

    # --- start and end ---------------------------------------------------------------------

    def _start(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._servers is None:
            self._begin_epoch()
            self._servers = Context().run(Servers, self._link, self._take, self._missed)

    async def _ready(self, name: bytes | None) -> None:
        """Wait until changes of the name are told; None: of all names. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while self._servers is None or not self._servers.has(name):
            if loop.time() >= deadline:
                raise StoreUnavailable("the store does not tell its changes now")
            await asyncio.sleep(0.005)
            self._start()

    def _end(self, subject: Subject, name: bytes | None, watcher: Watcher) -> None:
        if name is None:
            feed = self.feeds.prefixes.get(subject)
            if feed is not None:
                feed.remove(watcher)
                if not feed.members:
                    # Changes are remembered a while longer, for who resumes.
                    self._presents.stop(feed)
                    asyncio.get_running_loop().call_later(LINGER_SECONDS, self._drop, feed)
        elif (single := self.feeds.names.get(name)) is not None:
            single.told.discard(watcher)
            single.waiting.discard(watcher)
            if not single.told and not single.waiting:
                del self.feeds.names[name]
        self._stop_soon()

    def _drop(self, feed: PrefixFeed) -> None:
        if not feed.members and self.feeds.prefixes.get(feed.subject) is feed:
            self.feeds.drop(feed)
            if self.feeds.is_empty:
                self._stop()

    def _stop_soon(self) -> None:
        if self.feeds.is_empty and self._servers is not None:
            if self._linger is not None:
                self._linger.cancel()
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._stop)

    def _stop(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._servers is not None:
            self._servers.close()
            self._servers = None
        for task in self._readers.values():
            task.cancel()
        self._presents.stop_all()
        self.feeds = Feeds()
        self._readers.clear()
        self._dirty.clear()
        self._reading.clear()
        self._expiries.clear()

    # --- what Redis tells ------------------------------------------------------------------

    def _take(self, names: Sequence[bytes] | None) -> None:
        if names is None:
            self._missed()
            return
        for name in names:
            self._mark(name)

    def _mark(self, name: bytes, *, has_changed: bool = True) -> None:
        """Read the name, if it is watched, and tell its state."""
        if not self.feeds.of_name(name):
            return
        if has_changed:
            self._presents.touch(name)
        server = self._link.server_of(name)
        dirty = self._dirty.setdefault(server, {})
        dirty[name] = has_changed or dirty.get(name, False)
        if server not in self._readers:
            self._start_reader(server)

    def _missed(self) -> None:
        """Tell the whole present state: changes may have passed unseen."""
        self._begin_epoch()
        for name in tuple(self.feeds.names):
            self._mark(name, has_changed=False)
        for feed in tuple(self.feeds.prefixes.values()):
            self._presents.restart(feed)

    def _begin_epoch(self) -> None:
        self._epoch = os.urandom(6).hex()
        self._forgotten = self._sequence
        self._remembered.clear()

    # --- reading ---------------------------------------------------------------------------

    def is_pending(self, name: bytes) -> bool:
        return any(names.get(name) for names in (self._reading, *self._dirty.values()))

    def pending(self) -> set[bytes]:
        return {
            name
            for names in (self._reading, *self._dirty.values())
            for name, has_changed in names.items()
            if has_changed
        }

    @property
    def position(self) -> str:
        """Return the position after all changes that were told so far."""
        return f"{self._epoch}.{self._sequence}"

    def changed_since(self, position: str, feed: PrefixFeed) -> list[bytes] | None:
        """Return the feed's names that changed after the position; None if that is not known."""
        epoch, _, number = position.partition(".")
        if epoch != self._epoch or not number.isdecimal():
            return None
        if int(number) < max(self._forgotten, feed.since):
            return None
        names = []
        for name in reversed(self._remembered):
            if self._remembered[name] <= int(number):
                break
            if feed.has(name):
                names.append(name)
        return names

    def _start_reader(self, server: Link) -> None:
        # An empty context: the reading belongs to many requests.
        task = asyncio.get_running_loop().create_task(self._read_all(server), context=Context())
        self._readers[server] = task

    async def _read_all(self, server: Link) -> None:
        """Read what has changed on one server, until nothing is left."""
        try:
            while dirty := self._dirty.get(server):
                names = [name for name in dirty if name not in self._reading][:MOST_NAMES]
                if not names:  # they are being read from another server: a slot moves
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                wanted = [(name, wants_value(self.feeds.of_name(name))) for name in names]
                if any(wants for _, wants in wanted):
                    del wanted[MOST_VALUES:]
                if not await self._read(dirty, wanted):
                    await asyncio.sleep(RETRY_SECONDS)
            self._dirty.pop(server, None)
        finally:
            if self._readers.get(server) is asyncio.current_task():
                del self._readers[server]

    async def _read(self, dirty: dict[bytes, bool], wanted: list[tuple[bytes, bool]]) -> bool:
        """Read the names and tell their states. Return False if some have to be read again."""
        names = [name for name, _ in wanted]
        changed = {name: dirty.pop(name) for name in names}
        self._reading |= changed
        outcomes: list[Change | DomainError] = [StoreUnavailable() for _ in names]
        try:
            deadline = loop_clock().now() + READ_SECONDS
            outcomes = await read_states(self._link, self._clock, wanted, deadline)
        except Exception:
            log.exception("changes could not be read")
        finally:
            for name in names:
                self._reading.pop(name, None)
        complete = True
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, DomainError):
                dirty[name] = changed[name] or dirty.get(name, False)
                complete = False
            elif changed[name]:
                self._tell(name, outcome)
            elif (single := self.feeds.names.get(name)) is not None:
                self.note(name, outcome)
                single.tell(outcome)
        return complete

    def _tell(self, name: bytes, change: Change) -> None:
        # A number for each change, even of those read together: the connection may break between
        # two. Only now: who was told this number was told all changes of smaller ones.
        self._sequence += 1
        change.position = self.position
        self.note(name, change)
        is_prefixed = False
        for feed in self.feeds.of_name(name):
            feed.tell(change)
            is_prefixed = is_prefixed or isinstance(feed, PrefixFeed)
        if is_prefixed:
            self._remembered[name] = self._sequence
            self._remembered.move_to_end(name)
            if len(self._remembered) > MOST_REMEMBERED:
                _, self._forgotten = self._remembered.popitem(last=False)
        self._presents.told(name)

    def note(self, name: bytes, change: Change) -> None:
        """Note when it expires."""
        self._expiries.note(name, change.expires_ms if change.exists else 0)

    def _note_all(self) -> None:
        """Note again when all that is watched expires."""
        for name, single in self.feeds.names.items():
            if single.last is not None:
                self.note(name, single.last)
        for feed in tuple(self.feeds.prefixes.values()):
            self._presents.note_again(feed)
