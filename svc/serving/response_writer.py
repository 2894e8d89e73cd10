"""Send the answer of a request.

aiohttp's general code for responses handles streaming, compression and cookies. This service sends
nearly only complete bodies, and sending those directly takes half the time.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.http_writer import StreamWriter
from aiohttp.web_request import BaseRequest

from ..api.answer import Answer
from ..api.context import Lifecycle
from ..api.event_stream import EventStream
from .aiohttp_internals import serialize_headers
from .bounded_reading import BoundedReader
from .head_starts import HeadStarts

#: Statuses whose answers have no body.
BODILESS: Final = frozenset((204, 304))
#: From this size on, the body is written beside its head. A smaller one is copied behind it.
LARGE_BODY_BYTES: Final = 16_384


class ResponseWriter(BoundedReader):
    """The half of a connection that answers."""

    def __init__(
        self, server: web.Server, *, lifecycle: Lifecycle, starts: HeadStarts, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self.lifecycle = lifecycle
        self.starts = starts
        #: True if a head was refused, for which aiohttp makes up a request of HTTP/1.0.
        self.is_refusing = False
        #: The watch whose events are being sent.
        self.streaming: EventStream | None = None

    async def stream(self, request: BaseRequest, response: web.StreamResponse) -> bool:
        """Send any answer, as aiohttp does. Return False if the connection broke meanwhile."""
        request._payload_writer = StreamWriter(self, self._loop)  # noqa: SLF001
        response.headers.update(self.starts.names)
        if not isinstance(response, EventStream):
            _, is_broken = await self.finish_response(request, response, None)
            return not is_broken
        self.streaming = response
        if self.saw_eof:
            response.doubt()
        try:
            _, is_broken = await self.finish_response(request, response, None)
        finally:
            self.streaming = None
            response.close()
            self.half_close()
        return not is_broken

    def send(self, request: BaseRequest, response: Any) -> bool:
        """Send a response with a complete, uncompressed body and no cookies.

        Return False if nobody is there to receive it. While ``_paused``, ``drained`` has to follow.
        """
        # Its properties cost more than what they return.
        status, headers = response._status, response._headers  # noqa: SLF001
        body: bytes = response._body or b""  # noqa: SLF001
        shows_body = status not in BODILESS and request.method != hdrs.METH_HEAD
        length = ""
        if status != 204 and (body or shows_body):
            length = f"Content-Length: {len(body)}"
        keep_alive = response._keep_alive  # noqa: SLF001
        if keep_alive is None:
            response._keep_alive = keep_alive = request.keep_alive  # noqa: SLF001
        start = self.starts.of(status)
        if type(response) is Answer:
            start += response.common.lines
        elif body and hdrs.CONTENT_TYPE not in headers:
            headers[hdrs.CONTENT_TYPE] = "application/octet-stream"
        if request.version is HttpVersion11 or self.is_refusing:
            if not keep_alive:
                headers[hdrs.CONNECTION] = "close"
        else:
            start = start.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
            if keep_alive:
                headers[hdrs.CONNECTION] = "keep-alive"
        # The first line is any line: aiohttp's own code puts the status there.
        rest = serialize_headers(length, headers)
        head = start + (rest if length else rest[2:])
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        if not shows_body or not body:
            transport.write(head)
        elif len(body) < LARGE_BODY_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
            response.body = None  # it is large, and the client may be slow
        return True

    async def drained(self) -> bool:
        """Wait until the client has received most of the answer; False if the connection broke.

        Meanwhile the request counts as under way, and the answer takes of the byte budget.
        """
        transport = self.transport
        unsent = 0 if transport is None else transport.get_write_buffer_size()
        self.lifecycle.sending += 1
        self.budget.hold(unsent)
        try:
            await self._drain_helper()
        except ConnectionError:
            return False
        finally:
            self.lifecycle.sending -= 1
            self.budget.release(unsent)
        return True
