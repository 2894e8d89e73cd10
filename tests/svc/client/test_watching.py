"""What a watch yields of recorded streams: the present state, changes, and what a gap hid."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from svc.client import (
    AsyncClient,
    Changed,
    Client,
    Counted,
    Deleted,
    Entry,
    ServiceFailed,
    Synced,
    Unauthenticated,
    Unavailable,
)
from tests.svc.client.clients import KINDS
from tests.svc.client.listening import listening

HEAD: Final = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Cache-Control: no-store\r\nConnection: close\r\n\r\nretry: 1000\n\n"
)
HEARTBEAT: Final = ": heartbeat\n\n"


def wire(kind: str, data: dict[str, Any], id_: str = "") -> str:
    text = msgspec.json.encode(data).decode()
    return (
        f"id: {id_}\nevent: {kind}\ndata: {text}\n\n"
        if id_
        else (f"event: {kind}\ndata: {text}\n\n")
    )


def entry(key: str, version: int, id_: str = "") -> str:
    told = {"key": key, "etag": f'"{version}"', "ttl": None, "size": 1}
    return wire("entry", {**told, "content_type": "application/json", "value": version}, id_)


def refusal(status: int, code: str, more: str = "", *, retryable: bool = False) -> str:
    body = msgspec.json.encode(
        {
            "title": code,
            "status": status,
            "detail": "why",
            "code": code,
            "applied": "no",
            "retryable": retryable,
            "trace_id": "t",
        }
    ).decode()
    return (
        f"HTTP/1.1 {status} No\r\nContent-Type: application/problem+json\r\n{more}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )


SYNCED: Final = wire("synced", {}, "1")
BYE: Final = wire("goodbye", {"reason": "draining"})


class Recording:
    """Answers each connection with the next stream, and then closes it."""

    def __init__(self, streams: list[str]) -> None:
        self._streams = streams
        self.port = 0
        self.heads: list[str] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def resumed_at(self) -> list[str | None]:
        """The Last-Event-ID of each request."""
        found = []
        for head in self.heads:
            lines = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
            found.append({name.lower(): text for name, text in lines.items()}.get("last-event-id"))
        return found

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        stream = self._streams[min(len(self.heads), len(self._streams)) - 1]
        # In two parts, so that an event is cut in the middle.
        middle = len(stream) // 2
        for part in (stream[:middle], stream[middle:]):
            writer.write(part.encode())
            await writer.drain()


@contextlib.asynccontextmanager
async def recording(*streams: str) -> AsyncIterator[Recording]:
    recorded = Recording(list(streams))
    async with listening(recorded.answer) as recorded.port:
        yield recorded


async def told(
    kind: str, base: str, count: float, name: str, *arguments: Any, deadline: float = 60
) -> list[Any]:
    """Return the first so many events of a watch."""
    found: list[Any] = []
    if kind == "blocking":

        def take() -> None:
            with Client(base, deadline=deadline) as client:
                for event in getattr(client, name)(*arguments):
                    found.append(event)
                    if len(found) >= count:
                        return

        await asyncio.to_thread(take)
        return found
    async with (
        AsyncClient(base, deadline=deadline) as kv,
        contextlib.aclosing(getattr(kv, name)(*arguments)) as events,
    ):
        async for event in events:
            found.append(event)
            if len(found) >= count:
                break
    return found


def short(event: Any) -> Any:
    """Return an event in a form that is quick to compare."""
    if isinstance(event, Changed):
        assert isinstance(event.entry, Entry)
        return event.entry.key, event.entry.json()
    return event


@pytest.mark.parametrize("kind", KINDS)
async def test_a_watch_goes_on_after_cuts_and_yields_only_what_differs(kind: str) -> None:
    async with recording(
        # Cut before the state was told as a whole: nothing to go on from.
        HEAD + entry("a", 1, "x"),
        HEAD + entry("a", 1) + entry("b", 1) + SYNCED + HEARTBEAT + entry("b", 2, "2") + BYE,
        refusal(503, "too_many_watchers", "Retry-After: 1\r\n", retryable=True),
        # Gone on: changes alone.
        HEAD + entry("b", 3, "3") + wire("deleted", {"key": "never told"}, "4"),
        # What was lost can't be told: the state anew, in which b is not.
        HEAD + wire("reset", {"reason": "lost"}) + entry("c", 1) + entry("a", 1) + SYNCED,
        HEAD + wire("deleted", {"key": "a"}, "6"),
    ) as recorded:
        events = await told(kind, recorded.base, 8, "watch_prefix", "p/ü")

    assert [short(event) for event in events] == [
        *[("a", 1), ("b", 1), Synced(), ("b", 2), ("b", 3)],
        *[("c", 1), Deleted("b"), Deleted("a")],
    ]
    assert recorded.resumed_at == [None, None, "2", "2", "4", "1"]
    assert recorded.heads[0].startswith("GET /v1/kv?prefix=p%2F%C3%BC HTTP/1.1\r\n")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_counter_that_is_absent_at_first_is_watched(kind: str) -> None:
    def counter(value: int, id_: str) -> str:
        members = {"name": "n", "value": value, "value_text": str(value), "ttl": None}
        return wire("counter", {**members, "etag": f'"{value}"'}, id_)

    async with recording(
        HEAD + wire("deleted", {"name": "n"}, "1") + SYNCED + counter(2**62, "2"),
        HEAD + wire("reset", {}) + counter(2**62, "3") + SYNCED + counter(4, "4"),
    ) as recorded:
        events = await told(kind, recorded.base, 4, "watch_counter", "n")

    assert events == [Deleted("n"), Synced(), Counted("n", 2**62), Counted("n", 4)]
    assert recorded.heads[0].startswith("GET /v1/counters/n HTTP/1.1\r\n")


async def test_a_value_that_is_not_told_leaves_the_rest() -> None:
    large = {"key": "k", "etag": '"1"', "ttl": 5, "size": 70_000, "content_type": "text/plain"}
    bytes_ = {**large, "etag": '"2"', "size": 2, "value_b64": "AP8="}

    # What other readers of lines take for their end.
    text = {**large, "etag": '"3"', "content_type": "application/json", "value": "a\u2028b\x85c"}

    stream = HEAD + wire("entry", large) + SYNCED + wire("entry", bytes_) + wire("entry", text)
    async with recording(stream) as recorded:
        first, _, second, last = await told("awaiting", recorded.base, 4, "watch", "k")

    assert (first.entry.size, first.entry.ttl, isinstance(first.entry, Entry)) == (70_000, 5, False)
    assert second.entry.body == b"\0\xff"
    assert last.entry.json() == "a\u2028b\x85c"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (refusal(401, "unauthenticated"), Unauthenticated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ServiceFailed),
        (HEAD + wire("entry", {"no": "key"}), ServiceFailed),
    ],
)
async def test_what_no_connection_can_mend_ends_the_watch(
    kind: str, stream: str, error: type[Exception]
) -> None:
    async with recording(stream) as recorded:
        with pytest.raises(error):
            await told(kind, recorded.base, math.inf, "watch", "k")

    assert len(recorded.heads) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_watch_without_any_connection_ends_at_the_deadline(kind: str) -> None:
    async with recording(HEAD) as recorded:
        pass

    with pytest.raises(Unavailable):
        await told(kind, recorded.base, math.inf, "watch", "k", deadline=0.3)
