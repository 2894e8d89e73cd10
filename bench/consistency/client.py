"""A client that knows what became of each of its requests: nothing is repeated behind its back.

aiohttp's client, as most, sends a request once more when the connection it kept was closed in the
meantime; a history made of such answers would not say what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .history import Outcome

#: Longer than the service may take for anything.
TIMEOUT_SECONDS: Final = 5.0
#: What a fault may make of a request: refused, unknown, no room, too slow.
EXCUSED: Final = frozenset({408, 503, 504, 507})

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client knows of its request afterwards, and when it began and ended (loop time)."""

    outcome: Outcome
    called: float
    returned: float
    answer: Answer | None = None

    @property
    def is_excused(self) -> bool:
        """Tell whether nobody answered, or as only a fault excuses."""
        return self.answer is None or self.answer.status in EXCUSED


class Client:
    """Asks services in turn, on connections that it keeps; a refused one is passed over."""

    def __init__(self, ports: Sequence[int], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._ports = list(ports)
        self._turn = itertools.count()
        self._timeout = timeout_seconds
        self._idle: dict[int, deque[_Streams]] = {port: deque() for port in ports}

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Told:
        """Send it once, whatever comes of it; never raises for a fault."""
        loop = asyncio.get_running_loop()
        called = loop.time()
        request = _render(method, path, body, headers or {})
        try:
            streams, port = await self._connect()
        except (OSError, TimeoutError):
            return Told("refused", called, loop.time())
        try:
            async with asyncio.timeout(self._timeout):
                answer = await _exchange(streams, request)
        except (OSError, EOFError, TimeoutError, ValueError):
            streams[1].transport.abort()
            return Told("unknown", called, loop.time())
        except BaseException:
            streams[1].transport.abort()
            raise
        if answer.headers.get("connection") == "close":
            streams[1].close()
        else:
            self._idle[port].append(streams)
        return Told(_outcome_of(answer), called, loop.time(), answer)

    async def _connect(self) -> tuple[_Streams, int]:
        first = next(self._turn)
        failure: OSError = ConnectionRefusedError()
        for i in range(len(self._ports)):
            port = self._ports[(first + i) % len(self._ports)]
            idle = self._idle[port]
            while idle:
                streams = idle.pop()
                if not streams[0].at_eof() and not streams[1].is_closing():
                    return streams, port
                streams[1].close()
            try:
                async with asyncio.timeout(self._timeout):
                    return await asyncio.open_connection("127.0.0.1", port), port
            except OSError as error:
                failure = error
        raise failure

    async def close(self) -> None:
        for streams in itertools.chain.from_iterable(self._idle.values()):
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()


def _render(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in {"PUT", "POST", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _exchange(streams: _Streams, request: bytes) -> Answer:
    reader, writer = streams
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split(" ")[1]), headers, body)


def _outcome_of(answer: Answer) -> Outcome:
    """Read it as a client must: success, or what the problem says was applied."""
    if answer.status < 400:
        return "acknowledged"
    try:
        applied = answer.json["applied"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return {"yes": "acknowledged", "no": "refused"}.get(applied, "unknown")  # type: ignore[return-value]
