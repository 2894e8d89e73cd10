"""Who watches what: the watchers of each name and of each prefix, found by a changed name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ...domain.errors import StoreCorrupt
from ...domain.model import CounterName, Key
from ...domain.watching import Change, Subject, Watcher
from ..names import NAME_START, counter_name, entry_name, text_of

_ENTRIES, _COUNTERS = b"kv:", b"ct:"


@dataclass(eq=False)
class NameFeed:
    """The watchers of one name."""

    #: Those who know the state in ``last``, and those who wait for the first one.
    told: set[Watcher] = field(default_factory=set)
    waiting: set[Watcher] = field(default_factory=set)
    last: Change | None = None
    with_values: bool = True

    def tell(self, change: Change) -> None:
        """Tell who does not know it yet."""
        last = self.last
        # Without the value, which would otherwise be held for as long as somebody watches.
        self.last = msgspec.structs.replace(change, body=None, rendered={})
        if not is_same(last, change):
            for watcher in tuple(self.told):
                watcher.tell(change)
        for watcher in tuple(self.waiting):
            watcher.tell(change)
            watcher.sync("")
        self.told |= self.waiting
        self.waiting.clear()


def is_same(last: Change | None, change: Change) -> bool:
    """Return True if whoever knows ``last`` learns nothing from the change."""
    return (
        last is not None
        and last.exists == change.exists
        and last.etag == change.etag
        # A counter's expiry is computed from what is left of its TTL, when the reply arrives.
        and abs(last.expires_ms - change.expires_ms) < 1000
    )


@dataclass(eq=False)
class PrefixFeed:
    """The watchers of the names that begin with one prefix, and with one of ``within``."""

    subject: Subject
    #: The number of the last change before it was made: only later ones are remembered for it.
    since: int
    members: set[Watcher] = field(default_factory=set)
    #: Those who are to be told the present state, and from which position; and those who may have
    #: been told some of it, or a change.
    waiting: dict[Watcher, str] = field(default_factory=dict)
    begun: set[Watcher] = field(default_factory=set)

    @property
    def kind(self) -> bytes:
        return _COUNTERS if self.subject.is_counter else _ENTRIES

    def remove(self, watcher: Watcher) -> None:
        self.members.discard(watcher)
        self.waiting.pop(watcher, None)
        self.begun.discard(watcher)

    def has(self, name: bytes) -> bool:
        """Return True if it is told of this Redis name."""
        try:
            return name.startswith(self.kind) and self.covers(text_of(name))
        except StoreCorrupt:  # a name that no request could have made
            return False

    def covers(self, text: str) -> bool:
        within = self.subject.within
        return text.startswith(self.subject.name) and (not within or text.startswith(within))

    def tell(self, change: Change) -> None:
        self.begun |= self.members
        for watcher in tuple(self.members):
            watcher.tell(change)


class Feeds:
    """All feeds of the store."""

    def __init__(self) -> None:
        self.names: dict[bytes, NameFeed] = {}
        self.prefixes: dict[Subject, PrefixFeed] = {}
        #: The feeds by kind and prefix, and the lengths of the prefixes: a changed name takes one
        #: look for each length, however many prefixes there are.
        self._by_prefix: dict[bytes, list[PrefixFeed]] = {}
        self._lengths: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.names and not self.prefixes

    def add(self, feed: PrefixFeed) -> None:
        self.prefixes[feed.subject] = feed
        self._index()

    def drop(self, feed: PrefixFeed) -> None:
        del self.prefixes[feed.subject]
        self._index()

    def _index(self) -> None:
        self._by_prefix = {}
        for feed in self.prefixes.values():
            self._by_prefix.setdefault(feed.kind + feed.subject.name.encode(), []).append(feed)
        self._lengths = tuple(sorted({len(prefix) - 3 for prefix in self._by_prefix}))

    def of_name(self, name: bytes) -> list[NameFeed | PrefixFeed]:
        """Return the feeds that are told of this Redis name."""
        single = self.names.get(name)
        found: list[NameFeed | PrefixFeed] = [] if single is None else [single]
        kind, rest = name[:3], name[NAME_START:]
        text = None
        for length in self._lengths:
            for feed in self._by_prefix.get(kind + rest[:length], ()):
                if len(rest) < length:
                    continue
                if text is None:
                    try:
                        text = text_of(name)
                    except StoreCorrupt:  # a name that no request could have made
                        return found
                if feed.covers(text):
                    found.append(feed)
        return found


def redis_name(subject: Subject) -> bytes:
    """Return the name in Redis of a single entry or counter."""
    if subject.is_counter:
        return counter_name(CounterName(subject.name))
    return entry_name(Key(subject.name))


def wants_value(feeds: list[NameFeed | PrefixFeed]) -> bool:
    return any(
        feed.with_values if isinstance(feed, NameFeed) else feed.subject.with_values
        for feed in feeds
    )


def split(names: list[bytes], most: int) -> Iterator[list[bytes]]:
    for at in range(0, len(names), most):
        yield names[at : at + most]
