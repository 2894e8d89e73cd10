"""A client that sends each request at most once and knows its outcome.

Most clients, aiohttp's among them, send a request again when a kept connection was closed. A
history of such answers would not say how often a change was made.
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

from bench.testbed.operations import render_request

from .history import Outcome

#: Longer than any deadline of the service.
TIMEOUT_SECONDS: Final = 5.0
#: Statuses that a fault excuses: timeout, unavailable, outcome unknown, store full.
EXCUSED: Final = frozenset({408, 503, 504, 507})

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a request, and when it was called and returned (loop time)."""

    outcome: Outcome
    called: float
    returned: float
    #: None if no complete answer came.
    answer: Answer | None = None

    @property
    def is_excused(self) -> bool:
        """Return True if there is no answer, or one that a fault excuses."""
        return self.answer is None or self.answer.status in EXCUSED


class Client:
    """Sends to the services in turn, on kept connections. It skips one that refuses to connect."""

    def __init__(self, ports: Sequence[int], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._ports = list(ports)
        self._turn = itertools.count()
        self._timeout = timeout_seconds
        self._idle: dict[int, deque[_Streams]] = {port: deque() for port in ports}

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request once. Never raise because of a fault."""
        loop = asyncio.get_running_loop()
        called = loop.time()
        request = render_request(method, path, body, headers)
        try:
            streams, port = await self._connect()
        except (OSError, TimeoutError):
            return Reply("refused", called, loop.time())
        try:
            async with asyncio.timeout(self._timeout):
                answer = await _exchange(streams, request)
        except (OSError, EOFError, TimeoutError, ValueError):
            streams[1].transport.abort()
            return Reply("unknown", called, loop.time())
        except BaseException:
            streams[1].transport.abort()
            raise
        if answer.headers.get("connection") == "close":
            streams[1].close()
        else:
            self._idle[port].append(streams)
        return Reply(_outcome_of(answer), called, loop.time(), answer)

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
    """Return "acknowledged" for a success, else what the problem's ``applied`` says."""
    if answer.status < 400:
        return "acknowledged"
    try:
        applied = answer.json["applied"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return {"yes": "acknowledged", "no": "refused"}.get(applied, "unknown")  # type: ignore[return-value]
