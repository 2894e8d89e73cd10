"""Refusals of requests for which there is no place: prepared bytes, before a request is made.

In an overload most requests are refused, and each refusal takes CPU time from the answers. So they
are written as soon as the request is parsed: without a task, a request object, middlewares or a
span. The bytes are those that the application answers: it is asked once for an example. Whatever is
not common takes the usual way: other targets, HEAD, HTTP/1.0, a body that is still arriving, and
what gets an access line.
"""

from __future__ import annotations

import re
import time
from contextvars import copy_context
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader

from ..api.admission import ADMISSION, no_place
from ..api.context import LIFECYCLE
from ..api.middlewares import TRACEPARENT, X_REQUEST_ID, read_request_id
from ..api.problems import STATUS, render_domain_error
from ..api.routes import BUSY
from ..domain.errors import Overloaded
from ..telemetry.requests import RequestTelemetry
from ..telemetry.sampling import NoSampler
from ..telemetry.trace import TRACE, RequestTrace
from .aiohttp_internals import ErrInfo, serialize_headers
from .head_starts import HeadStarts
from .request_loop import RequestLoop

#: Stand for what differs between two refusals. A trace id has as many characters as the real one.
_TRACE_ID: Final = "0123456789abcdef" * 2
_REQUEST_ID: Final = "the-id-of-the-request"
#: The status of a refusal.
REFUSED: Final = STATUS[Overloaded]
#: Characters of a path that need no decoding (RFC 3986's pchar).
_PLAIN: Final = r"[A-Za-z0-9._~:@!$&'()*+,;=-]+"


class RouteNames:
    """The names of routes, for targets that need no decoding."""

    def __init__(self, app: web.Application) -> None:
        methods: dict[str, set[str]] = {}
        for resource in app.router.resources():
            known = methods.setdefault(resource.canonical, set())
            known.update(route.method for route in resource)
        self._fixed = {
            (method, path): path.rstrip("/") or "/"
            for path, known in methods.items()
            if "{" not in path
            for method in known
        }
        canonical = [f"{busy.before}{{{busy.variable}}}{busy.after}" for busy in BUSY]
        self._busy = [(path, methods.get(path, set())) for path in canonical]
        self._match = re.compile(
            "|".join(
                f"({busy.before}{_PLAIN.replace('[', '[/') if busy.may_have_slashes else _PLAIN}"
                f"{busy.after})"
                for busy in BUSY
            )
        ).fullmatch

    def find(self, method: str, target: str) -> str | None:
        """Return the route's name in metrics; None: the router has to tell, or there is none."""
        path = target.partition("?")[0]
        name = self._fixed.get((method, path))
        if name is not None:
            return name
        found = self._match(path)
        if found is None:
            return None
        index: int = found.lastindex  # type: ignore[assignment]
        name, methods = self._busy[index - 1]
        return name if method in methods else None


class Refusals:
    """Writes refusals of an application, and counts them."""

    def __init__(
        self, app: web.Application, telemetry: RequestTelemetry | None, starts: HeadStarts
    ) -> None:
        self._starts = starts
        self.refuses = app[ADMISSION].refuses
        self._lifecycle = app[LIFECYCLE]
        self._telemetry = telemetry
        self._names = RouteNames(app)
        self._decide = NoSampler().decide
        self._pieces = copy_context().run(_example)

    def render(self, message: RawRequestMessage, payload: StreamReader) -> bytes | None:
        """Count the request as refused, and return its answer. None: it takes the usual way."""
        started = time.perf_counter()
        if (
            message.version is not HttpVersion11
            or message.should_close
            or message.method == hdrs.METH_HEAD
            or self._lifecycle.draining
            or hdrs.ORIGIN in message.headers  # the answer may have more headers
            or not payload.is_eof()
        ):
            return None
        name = self._names.find(message.method, message.path)
        if name is None or (
            self._telemetry is not None
            and not self._telemetry.observe_refused(message.method, name, started)
        ):
            return None
        parents = message.headers.getall(TRACEPARENT, ())
        trace = self._decide(parents[0] if len(parents) == 1 else None)
        request_id = read_request_id(message.headers, trace)
        before, between, after = self._pieces
        return (
            self._starts.of(REFUSED)
            + f"{before}{request_id}{between}{trace.trace_id}{after}".encode()
        )


class RefusingLoop(RequestLoop):
    """A RequestLoop that refuses requests itself, if there are ``refusals``."""

    def __init__(self, server: web.Server, *, refusals: Refusals | None, **options: Any) -> None:
        super().__init__(server, **options)
        self._refusals = refusals

    def refuses_at_once(self) -> bool:
        refusals, queue = self._refusals, self._messages
        if refusals is None or not refusals.refuses() or len(queue) > 1 or self._unread:
            return False
        message, payload = queue[0]
        transport, parser = self.transport, self._parser
        if isinstance(message, ErrInfo) or self.ended or self._paused or transport is None:
            return False
        answer = refusals.render(message, payload)
        if answer is None:
            return False
        queue.clear()
        if parser is not None:
            parser.message_consumed()
        if not transport.is_closing():
            transport.write(answer)
        # As after each answer of aiohttp.
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        return True


def _example() -> tuple[str, str, str]:
    """Return the texts of a refusal before, between and after its two ids, without its start."""
    TRACE.set(RequestTrace(_TRACE_ID))
    response = render_domain_error(no_place())
    response.headers[X_REQUEST_ID] = _REQUEST_ID
    body: bytes = response.body  # type: ignore[assignment]
    head = serialize_headers(f"Content-Length: {len(body)}", response.headers)
    before, _, rest = head.decode().partition(_REQUEST_ID)
    start, _, end = body.decode().partition(_TRACE_ID)
    return before, rest + start, end
