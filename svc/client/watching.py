"""Watches: what the service's events mean, and how one goes on after a cut. Pure.

The service tells the present state, then changes. After a cut it goes on where it was, or tells
the present state anew. Here both look alike: a watch yields what differs from what it yielded
before, deletions included.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from ..domain.model import EntrySummary
from .errors import Error, ServiceFailed, Unavailable
from .exchange import Answer, Backoff, NoAnswer, Policy, Request, read_error, retry_after
from .requests import counter_target, entry_target, listing_target
from .values import Entry, Told

EVENT_STREAM: Final = "text/event-stream"
CLOSED: Final = "the service closed the connection"


class Changed(msgspec.Struct, frozen=True):
    """An entry was written; or it was there when the watch began.

    It has no value if that is larger than the service tells, or if the watch did not ask for it.
    """

    entry: Entry | EntrySummary


class Counted(msgspec.Struct, frozen=True):
    """A counter changed; or it was there when the watch began."""

    name: str
    value: int
    ttl: int | None = None


class Deleted(msgspec.Struct, frozen=True):
    """The entry or counter of this name was deleted, or expired, or was not there at first."""

    name: str


class Synced(msgspec.Struct, frozen=True):
    """Everything that was there when the watch began has been told. Comes once."""


Event = Changed | Counted | Deleted | Synced


class Wire(Protocol):
    """An event as it came, without what only browsers need."""

    @property
    def event(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def id(self) -> str: ...


class _ToldCounter(msgspec.Struct, frozen=True):
    name: str
    value: int
    ttl: int | None = None


class _Gone(msgspec.Struct, frozen=True):
    key: str | None = None
    name: str | None = None


_entry: Final = msgspec.json.Decoder(Told)
_counter: Final = msgspec.json.Decoder(_ToldCounter)
_gone: Final = msgspec.json.Decoder(_Gone)

#: The version of what was not told yet.
_UNSEEN: Final = ""


class Watch:
    """One watch, over as many connections as it takes."""

    def __init__(self, target: str, policy: Policy, *, is_single: bool) -> None:
        """``is_single``: of one name, of which is told that it is absent, too."""
        self._target = target
        self._policy = policy
        self._is_single = is_single
        #: The version that was told of each name; None: that it is absent.
        self._told: dict[str, str | None] = {}
        #: The names in the present state while the service tells it; None: it tells changes.
        self._present: set[str] | None = set()
        self._is_synced = False
        #: Where to go on; "" if the state was not told as a whole yet.
        self._last_id = ""
        self._is_connected = False
        self._out_since = policy.clock()
        self._backoff = Backoff(policy, math.inf)
        #: True once the service has said that it closes the connection.
        self.has_ended = False

    def request(self) -> Request:
        """Return the request for the next connection."""
        headers = {"Accept": EVENT_STREAM, "Cache-Control": "no-store"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        self._present = None if self._last_id else set()
        self.has_ended = False
        return Request("GET", self._target, headers, is_repeatable=True)

    def connected(self, status: int, content_type: str) -> bool:
        """Return True if events follow; False if the answer is to be given to ``refused``."""
        if status == 200 and content_type.partition(";")[0].strip() != EVENT_STREAM:
            raise ServiceFailed(
                "the service answered, but not with events: is it a release that has watches?",
                code="answer_invalid",
                status=status,
            )
        self._is_connected = status == 200
        return self._is_connected

    def refused(self, answer: Answer) -> float:
        """Return how long to wait before the next connection. Raises Error if it is no use."""
        error = read_error(answer, self.request())
        if not error.retryable:
            raise error
        return self._pause(error, retry_after(answer))

    def lost(self, reason: NoAnswer) -> float:
        """Return how long to wait before the next connection. Raises Unavailable after too long.

        That is: after the deadline without any connection.
        """
        if self._is_connected:
            self._out_since = self._policy.clock()
            self._is_connected = False
        error = Unavailable(str(reason), retryable=not reason.is_final)
        if reason.is_final:
            raise error
        return self._pause(error, 0.0)

    def _pause(self, error: Error, least: float) -> float:
        seconds = self._backoff.next_seconds(least) or 0.0
        out_seconds = self._policy.clock() + seconds - self._out_since
        if out_seconds > self._policy.deadline_seconds:
            error.applied = "no"  # a watch changes nothing
            raise error
        return seconds

    def read(self, wire: Wire) -> Iterator[Event]:
        """Yield what an event changes."""
        try:
            yield from self._read(wire)
        except msgspec.DecodeError as error:
            raise ServiceFailed(
                f"an event {wire.event!r} is not one of this API ({error})", code="answer_invalid"
            ) from None
        self._backoff = Backoff(self._policy, math.inf)
        if self._present is None and wire.id:
            self._last_id = wire.id

    def _read(self, wire: Wire) -> Iterator[Event]:
        match wire.event:
            case "entry":
                told = _entry.decode(wire.data)
                if self._is_news(told.key, told.etag):
                    yield Changed(told.entry())
            case "counter":
                counted = _counter.decode(wire.data)
                if self._is_news(counted.name, str(counted.value)):
                    yield Counted(counted.name, counted.value, counted.ttl)
            case "deleted":
                gone = _gone.decode(wire.data)
                yield from self._delete(gone.key or gone.name or "")
            case "synced":
                yield from self._sync()
            case "reset":
                self._present = set()
                self._last_id = ""
            case "goodbye":
                self.has_ended = True

    def _is_news(self, name: str, version: str) -> bool:
        if self._present is not None:
            self._present.add(name)
        is_news = self._told.get(name) != version
        self._told[name] = version
        return is_news

    def _delete(self, name: str) -> Iterator[Event]:
        if self._present is not None:
            self._present.discard(name)
        if self._is_single:
            is_news = self._told.get(name, _UNSEEN) is not None
            self._told[name] = None
        else:
            is_news = self._told.pop(name, None) is not None
        if is_news:
            yield Deleted(name)

    def _sync(self) -> Iterator[Event]:
        present, self._present = self._present, None
        if present is not None:  # what is not in it was deleted while nobody told
            for name in [each for each in self._told if each not in present]:
                yield from self._delete(name)
        if not self._is_synced:
            self._is_synced = True
            yield Synced()


def watch_entry(key: str, policy: Policy) -> Watch:
    return Watch(entry_target(key), policy, is_single=True)


def watch_entries(prefix: str, policy: Policy, *, values: bool) -> Watch:
    include = "value" if values else None
    return Watch(listing_target("kv", prefix, None, include=include), policy, is_single=False)


def watch_counter(name: str, policy: Policy) -> Watch:
    return Watch(counter_target(name), policy, is_single=True)


def watch_counters(prefix: str, policy: Policy) -> Watch:
    return Watch(listing_target("counters", prefix, None), policy, is_single=False)
