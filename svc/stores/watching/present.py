"""The present state of all names with a prefix, told to those who begin to watch it.

Names are listed by SCAN, and read as they are found. A name that changed meanwhile is left to the
reading of changes, which tells it later: what was listed may be the older state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextvars import Context
from typing import Final, Protocol

from ...domain.errors import CursorInvalid, DomainError, StoreUnavailable
from ...domain.watching import Change, Watcher
from ...telemetry.loop_clock import loop_clock
from ..clock import ServerClock
from ..link import Link
from ..listing import narrowed, scan_page
from ..names import counter_pattern, entry_pattern
from .feeds import PrefixFeed, split
from .states import read_states

#: Names of one page, and those read together: without and with values.
PAGE_NAMES: Final = 500
MOST_VALUES: Final = 8
#: Listings at a time: each goes through all names of all servers.
AT_ONCE: Final = 2
RETRY_SECONDS: Final = 0.1
#: How long a page waits for clients that do not read, in seconds.
ROOM_SECONDS: Final = 10.0
#: The timeout of one step, in seconds.
STEP_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class Changes(Protocol):
    """The reading of changes, which goes on meanwhile."""

    @property
    def position(self) -> str:
        """Return the position after all changes that were told so far."""

    def pending(self) -> set[bytes]:
        """Return the names that are going to be read and told."""

    def is_pending(self, name: bytes) -> bool:
        """Return True if the name is one of them."""

    def changed_since(self, position: str, feed: PrefixFeed) -> list[bytes] | None:
        """Return the feed's names that changed after the position; None if that is not known."""

    def note(self, name: bytes, change: Change) -> None:
        """Note when the name expires."""


class Job:
    """One telling of the present state."""

    def __init__(self, touched: set[bytes]) -> None:
        #: Names that changed since it began, or that were about to be read then.
        self.touched = touched
        #: Those of them that it left out, until they are told.
        self.owed: set[bytes] = set()
        self.settled = asyncio.Event()


class Presents:
    """Tells the present states, one at a time for each prefix: who comes late gets the next."""

    def __init__(self, changes: Changes, link: Link, clock: ServerClock) -> None:
        self._changes = changes
        self._link = link
        self._clock = clock
        self._tasks: dict[PrefixFeed, asyncio.Task[None]] = {}
        self._jobs: set[Job] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def start(self, feed: PrefixFeed) -> None:
        """Tell those who wait, unless that is under way."""
        if feed not in self._tasks:
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._tell_waiting(feed), context=Context())
            self._tasks[feed] = task

    def restart(self, feed: PrefixFeed) -> None:
        """Let all members forget what they know, and tell them anew."""
        self.stop(feed)
        for watcher in feed.begun:
            watcher.reset("missed")
            feed.waiting[watcher] = ""
        feed.begun.clear()
        if feed.waiting:
            self.start(feed)

    def note_again(self, feed: PrefixFeed) -> None:
        """Note again when the names expire."""
        loop = asyncio.get_running_loop()
        if feed not in self._tasks:
            self._tasks[feed] = loop.create_task(self._tell_waiting(feed, notes=True))

    def stop(self, feed: PrefixFeed) -> None:
        task = self._tasks.pop(feed, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        for feed in tuple(self._tasks):
            self.stop(feed)

    def touch(self, name: bytes) -> None:
        """Learn that the name has changed."""
        for job in self._jobs:
            job.touched.add(name)

    def told(self, name: bytes) -> None:
        """Learn that its state was told to all who watch it."""
        for job in self._jobs:
            if name in job.owed:
                job.owed.discard(name)
                if not job.owed:
                    job.settled.set()

    async def _tell_waiting(self, feed: PrefixFeed, *, notes: bool = False) -> None:
        try:
            if notes:
                await self._tell_all(feed, set())
            while feed.waiting:
                batch, feed.waiting = feed.waiting, {}
                feed.begun |= set(batch)
                listed = set()
                for watcher, since in batch.items():
                    names = self._changes.changed_since(since, feed) if since else None
                    if names is not None:
                        await self._tell_all(feed, {watcher}, names)
                        continue
                    if since:
                        watcher.reset("unknown_position")
                    listed.add(watcher)
                if listed:
                    await self._tell_all(feed, listed)
        finally:
            if self._tasks.get(feed) is asyncio.current_task():
                del self._tasks[feed]

    async def _tell_all(
        self, feed: PrefixFeed, watchers: set[Watcher], names: list[bytes] | None = None
    ) -> None:
        """Tell the watchers the states of the names; None: of all there are."""
        async with self._places:
            while True:
                pages = self._list(feed) if names is None else _once(names)
                try:
                    await self._tell(feed, watchers, pages, is_change=names is not None)
                except (StoreUnavailable, CursorInvalid) as error:
                    # The list began on a server that went: from its start again. What was told is
                    # still true, or is told as a change.
                    error.__traceback__ = None
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:
                    log.exception("the present state could not be told")
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    break
        for watcher in watchers & feed.members:
            watcher.sync(self._changes.position)

    async def _list(self, feed: PrefixFeed) -> AsyncIterator[list[bytes]]:
        subject = feed.subject
        pattern = counter_pattern if subject.is_counter else entry_pattern
        wanted = pattern(narrowed(subject.name, subject.within))
        cursor = None
        while True:
            deadline = loop_clock().now() + STEP_SECONDS
            page = await scan_page(self._link, cursor, wanted, PAGE_NAMES, deadline, subject.within)
            yield list(page.names)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _tell(
        self,
        feed: PrefixFeed,
        watchers: set[Watcher],
        pages: AsyncIterator[list[bytes]],
        *,
        is_change: bool,
    ) -> None:
        """Read the pages of names, and tell the watchers. ``is_change``: the absent, too."""
        changes, with_values = self._changes, feed.subject.with_values
        job = Job(changes.pending())
        self._jobs.add(job)
        try:
            async for page in pages:
                for names in split(page, MOST_VALUES if with_values else PAGE_NAMES):
                    await self._tell_some(feed, watchers, names, job, is_change=is_change)
                    until = asyncio.get_running_loop().time() + ROOM_SECONDS
                    for watcher in watchers:
                        await watcher.room(until)
            while job.owed:
                job.settled.clear()
                await job.settled.wait()
        finally:
            self._jobs.discard(job)

    async def _tell_some(
        self,
        feed: PrefixFeed,
        watchers: set[Watcher],
        names: Sequence[bytes],
        job: Job,
        *,
        is_change: bool,
    ) -> None:
        changes = self._changes
        names = [name for name in names if feed.has(name)]
        wanted = [(name, feed.subject.with_values) for name in names if name not in job.touched]
        deadline = loop_clock().now() + STEP_SECONDS
        states = await read_states(self._link, self._clock, wanted, deadline)
        for (name, _), state in zip(wanted, states, strict=True):
            if isinstance(state, DomainError):
                raise state
            if name not in job.touched:
                self._show(name, state, watchers, is_change=is_change)
        job.owed |= {name for name in names if name in job.touched and changes.is_pending(name)}

    def _show(self, name: bytes, state: Change, watchers: set[Watcher], *, is_change: bool) -> None:
        if state.exists or is_change:
            self._changes.note(name, state)
            for watcher in watchers:
                watcher.tell(state)


async def _once(names: list[bytes]) -> AsyncIterator[list[bytes]]:
    yield names
