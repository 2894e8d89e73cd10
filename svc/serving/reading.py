"""From a client's bytes to its requests: each is served whatever comes with it or behind it.

aiohttp gives its parser all the bytes that arrived at once. If a part of them is malformed, the
parser's error stands for all of them, and the valid requests before it are lost. So are the bytes
behind a request that asks for another protocol. A client that closes its side of the connection
gets no answer. Here the parser gets at most one message at a time, and the end of a client's bytes
ends nothing but its bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

from .aiohttp_internals import ErrInfo
from .heads import HEAD_TOO_LARGE, MAX_HEAD_BYTES, HeadRefused, check_head

HEAD_END: Final = b"\r\n\r\n"
#: From this size on, what arrives at once is counted: ``count_large``.
LARGE_BYTES: Final = 16_384


class RequestReader(RequestHandler):
    """The half of a connection that reads requests, and puts them in aiohttp's queue."""

    def __init__(
        self, server: web.Server, *, hosts: frozenset[str] | None = None, **options: Any
    ) -> None:
        """``hosts`` are the names that Host may have; None: any."""
        super().__init__(server, **options)
        self._hosts = hosts
        #: Loop time since which the client is sending a request's head; None between requests.
        self.head_since: float | None = None
        #: No more requests follow: the client closed its side, or sent what is no HTTP.
        self.ended = False
        self.saw_eof = False
        self._unread = b""
        #: The bytes of the head or trailer that is arriving, which the parser keeps.
        self._head_bytes = 0
        self._body_bytes = 0
        #: The last bytes that were parsed, while a head or a chunked body is incomplete.
        self._trail = b""
        #: The body that is arriving, and its length; None: it is chunked.
        self._body: StreamReader | None = None
        self._body_length: int | None = None
        #: A body whose request was answered before its end.
        self._unwanted: StreamReader | None = None
        self._accepted_host: tuple[bytes, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.head_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived. aiohttp calls this with b"" when reading goes on after a pause."""
        if self._force_close or self._close or self.ended:
            if len(data) >= LARGE_BYTES:
                self.slow_down(len(data))
            return
        parser, queue = self._parser, self._messages
        # The parser may have kept a part of the piece in which reading was paused.
        resumed = not data
        if self._unread:
            data, self._unread = self._unread + data, b""
            self.keep_unread(0)
        start, size = 0, len(data)
        if size >= LARGE_BYTES:
            self.count_large(size)
        while True:
            end = start if resumed else self._piece_end(data, start)
            piece = data if end - start == size else data[start:end]
            resumed = False
            if self._is_head_too_large(end - start):
                self._end(HeadRefused(code=431, message=HEAD_TOO_LARGE))
                break
            try:
                messages, upgraded, _ = parser.feed_data(piece)  # type: ignore[union-attr]
            except HttpProcessingError as error:
                self._end(error)
                break
            if upgraded:  # No other protocol is spoken here, so the next request follows.
                parser.set_upgraded(False)  # type: ignore[union-attr]
            for message, payload in messages:
                self._take(message, payload)
            start = end
            if start >= size or self.ended:
                break
            if self._reading_paused or len(queue) >= self._max_msg_queue_size:
                self._unread = data[start:]
                self.keep_unread(size - start)
                break
        if (
            queue
            and (waiter := self._waiter) is not None
            and not waiter.done()
            and not self.refuses_at_once()
        ):
            waiter.set_result(None)
        if len(queue) >= self._max_msg_queue_size:
            super().data_received(b"")  # pauses the transport
        if self._trail and self.head_since is None and self._in_head():
            self.head_since = self._loop.time()
        if size >= LARGE_BYTES and self._body is not None and self._body is self._unwanted:
            self.slow_down(size)

    def refuses_at_once(self) -> bool:
        """Refuse the request that has just arrived, if there is no place for it."""
        raise NotImplementedError

    def count_large(self, size: int) -> None:
        """Count bytes that arrived at once and take memory, whatever becomes of them."""
        raise NotImplementedError

    def keep_unread(self, size: int) -> None:
        """Note that so many bytes wait behind the requests that are being served."""
        raise NotImplementedError

    def slow_down(self, size: int) -> None:
        """Read no more for a time: ``size`` bytes arrived that nobody wants."""
        raise NotImplementedError

    def _is_head_too_large(self, size: int) -> bool:
        """Count ``size`` bytes of a head, or of what is no data in a chunked body: its trailer."""
        body = self._body
        if body is None:
            self._head_bytes += size
            return self._head_bytes > MAX_HEAD_BYTES
        if self._body_length is not None:
            return False
        if body.total_bytes != self._body_bytes:
            self._body_bytes = body.total_bytes
            self._head_bytes = 0
        # This piece may have data. If it has none, the next one is refused.
        is_too_large = self._head_bytes > MAX_HEAD_BYTES
        self._head_bytes += size
        return is_too_large

    def _in_head(self) -> bool:
        """Return True if a head is incomplete. Empty lines between requests are none."""
        return self._body is None and bool(self._trail.strip(b"\r\n"))

    def _piece_end(self, data: bytes, start: int) -> int:
        """Return where to cut, so that no message ends within a piece.

        A wrong cut would do no harm: the parser alone decides where messages end.
        """
        body = self._body
        if body is not None:
            if self._body_length is not None:
                missing = self._body_length - body.total_bytes
                if missing > 0:
                    return min(start + missing, len(data))
                self._body = None
            elif body.is_eof():
                self._body = None
                self._head_bytes = 0
        known = len(self._trail)
        if known:
            found = (self._trail + data[start : start + 3]).find(HEAD_END)
            if found >= 0:
                self._trail = b""
                return start + found + len(HEAD_END) - known
        found = data.find(HEAD_END, start)
        if found >= 0:
            self._trail = b""
            return found + len(HEAD_END)
        self._trail = (self._trail + data[start:])[-len(HEAD_END) :]
        return len(data)

    def _take(self, message: RawRequestMessage, payload: StreamReader) -> None:
        """Queue a request, or its refusal."""
        self.head_since = None
        self._head_bytes = 0
        raw_headers = message.raw_headers
        # Most clients send Host first, and always the same.
        if (
            message.version is not HttpVersion11
            or raw_headers[0] != self._accepted_host
            or message.path[0] != "/"
        ):
            checked = check_head(message, self._hosts)
            if isinstance(checked, HeadRefused):
                self._end(checked)
                return
            message = checked
            if raw_headers and raw_headers[0][0].lower() == b"host":
                self._accepted_host = raw_headers[0]
        self._request_count += 1
        self._messages.append((message, payload))
        if payload is EMPTY_PAYLOAD:
            self._body = None
        else:
            self._body = payload
            length = message.headers.get(hdrs.CONTENT_LENGTH)
            self._body_length = None if length is None else int(length)

    def _end(self, error: HttpProcessingError | None) -> None:
        """Accept nothing more. Answer an error, after the requests before it, as a request."""
        self.ended = True
        self.head_since = None
        body = self._body
        if body is not None and not body.is_eof():
            if body is self._unwanted:
                body.feed_eof()
                self.half_close()
            else:
                broken = web.RequestPayloadError("the body ended early")
                body.set_exception(broken)
                # A reader that was just woken by the end of a chunk would wait again.
                self._loop.call_soon(body.set_exception, broken)
        elif error is not None:
            # Its traceback would keep the bytes that were received.
            error.__traceback__ = None
            self._messages.append((ErrInfo(400, error, error.message), EMPTY_PAYLOAD))
        if not self._messages and self._current_request is None:
            self._close = True  # after the answer that is being sent

    def half_close(self) -> None:
        """Send nothing more, and drop what still arrives."""
        raise NotImplementedError

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the requests before the end, then close. False closes at once."""
        self.saw_eof = True
        if self._force_close:
            return False
        if not self.ended:
            self._end(BadHttpMessage("the head ended early") if self._in_head() else None)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if not self._messages:
                return False
            waiter.set_result(None)
        return True
