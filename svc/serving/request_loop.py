"""The loop of a connection: take the next request, run its handler, send its answer.

aiohttp's own loop runs each handler in a task of its own, so that context variables of one request
are not seen by the next. That costs two more turns of the event loop for each request. Here a
connection has one task; whatever sets a context variable sets it for every request: see
``api.middlewares`` and ``door.callers``.
"""

from __future__ import annotations

import asyncio
from types import NoneType
from typing import Any, Final

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_request import BaseRequest

from ..api.answer import Answer
from .aiohttp_internals import ERROR_MESSAGE, PAYLOAD_ACCESS_ERROR, ErrInfo
from .dispatch import Handle
from .response_writer import ResponseWriter

#: Types of an answer that is sent at once, if its body is of one of the types in COMPLETE.
DIRECT: Final = frozenset((Answer, web.Response))
COMPLETE: Final = frozenset((bytes, NoneType))


class RequestLoop(ResponseWriter):
    """Serves the requests of one connection, one after the other."""

    async def start(self) -> None:
        """Serve until the connection closes. aiohttp runs this as the connection's task."""
        queue = self._messages
        while not self._force_close:
            if not queue:
                if self._close:  # since before this task began: the client left, or a stop began
                    break
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
                if not queue:  # the connection was lost
                    break
            message, payload = queue.popleft()
            self._make_room_in_queue()
            if not await self._serve(message, payload):
                break
            # Nothing of a request may be kept until the next one: bodies are large.
            del message, payload
            if not self._keepalive or self._close or self._force_close:
                break
            self._next_keepalive_close_time = close_time = (
                self._loop.time() + self._keepalive_timeout
            )
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(close_time, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    def _make_room_in_queue(self) -> None:
        """Let the parser go on that stopped because too many requests were waiting."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _serve(self, message: Any, payload: StreamReader) -> bool:
        """Answer one request. Return False if the connection broke."""
        handler: Handle = self._request_handler  # type: ignore[assignment]
        if isinstance(message, ErrInfo):
            handler, message = self._make_error_handler(message), ERROR_MESSAGE
        self._manager.requests_count += 1  # type: ignore[union-attr]
        request: BaseRequest = self._request_factory(  # type: ignore[misc]
            message,
            payload,
            self,
            None,  # type: ignore[arg-type]  # only what streams has a writer
            self._task_handler,  # type: ignore[arg-type]
        )
        self._request_in_progress = True
        self._current_request = request
        try:
            try:
                response = await handler(request)
            except web.HTTPException as answer:
                response = answer
            except Exception as error:  # noqa: BLE001 - of aiohttp: the application answers its own
                response = self.handle_error(request, 500, error)
            finally:
                self._current_request = None
            if not self._messages:
                if self.ended:
                    response.force_close()
                if self._body is not None and not self._body.is_eof():
                    self._unwanted = self._body
            if type(response) in DIRECT and type(response._body) in COMPLETE:  # noqa: SLF001
                if not self.send(request, response) or (self._paused and not await self.drained()):
                    return False
                self._keepalive = bool(response._keep_alive)  # noqa: SLF001
                if not self._keepalive:
                    self.half_close()
            elif await self.stream(request, response):
                self._keepalive = bool(response.keep_alive)
            else:
                return False
            if payload is not EMPTY_PAYLOAD:
                await self._drop_rest(payload)
        except ConnectionError:
            return False
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as error:  # noqa: BLE001 - it ends this connection alone
            self.log_exception("Unhandled exception", exc_info=error)
            self.force_close()
        finally:
            request._task = None  # type: ignore[assignment]  # noqa: SLF001 - it would make a cycle
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
        return True

    async def _drop_rest(self, payload: StreamReader) -> None:
        """Read, for some time, what still arrives of a body that nobody read to its end."""
        if not payload.is_eof() and not self._force_close:
            try:
                async with asyncio.timeout(self._lingering_time):
                    while not payload.is_eof():
                        await payload.readany()
            except TimeoutError:
                self.close()
        payload.set_exception(PAYLOAD_ACCESS_ERROR)
