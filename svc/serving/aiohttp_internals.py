"""The private attributes of aiohttp that this package uses, checked once, at import.

aiohttp's public API has no deadline for a request's head, and its way from the socket to a handler
and back takes longer than a handler of this service does. Therefore `reading.py`,
`bounded_reading.py`, `response_writer.py`, `request_loop.py`, `refusals.py`, `connection.py`,
`dispatch.py` and `listener.py`, and `api/answer.py`, use private attributes of aiohttp. No other
file does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp import http_writer, web, web_protocol

#: Versions that work, and the only ones that svc/pyproject.toml allows. Before them, a client that
#: pipelines requests is paused in another way, or (before 3.14.1) not at all. The last one passed
#: all tests in tests/svc, the other one those of connections, dispatch and the drain:
#: api/test_dispatch, api/test_malformed_http, faults/test_unusual_http, faults/test_slow_clients,
#: faults/test_large_bodies, serving/test_connection_ends, serving/test_drain and
#: serving/test_http_dialects.
CHECKED_VERSIONS: Final = ("3.14.4", "3.14.5")

#: Each owner and the private attributes that these files use.
PRIVATE_ATTRIBUTES: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (
        web_protocol.RequestHandler,
        (
            *("_buffer_paused", "_close", "_current_request", "_drain_helper", "_force_close"),
            *("_handler_waiter", "_keepalive", "_keepalive_handle", "_keepalive_timeout"),
            *("_lingering_time", "_loop", "_make_error_handler", "_manager"),
            *("_max_msg_queue_size", "_messages", "_msg_queue_resume_size"),
            *("_next_keepalive_close_time", "_parser", "_paused", "_process_keepalive"),
            *("_reading_paused", "_request_count", "_request_factory", "_request_handler"),
            *("_request_in_progress", "_resume_reading_if_drained", "_task_handler", "_waiter"),
        ),
    ),
    (web_protocol, ("ERROR", "_ErrInfo", "_PAYLOAD_ACCESS_ERROR")),
    (web.Request, ("_match_info",)),
    (web.UrlMappingMatchInfo, ("add_app", "current_app", "freeze")),
    (
        web.Response(),
        (
            *("_body", "_headers", "_keep_alive", "_reason", "_state", "_status"),
            *("_zlib_executor", "_zlib_executor_size"),
        ),
    ),
    (web.AppRunner, ("_make_server",)),
    (http_writer, ("_serialize_headers",)),
)


class AiohttpUnsupported(ImportError):
    """The installed aiohttp lacks private attributes that this package needs."""


def check_private_attributes(
    private: tuple[tuple[Any, tuple[str, ...]], ...] = PRIVATE_ATTRIBUTES,
) -> None:
    """Raise AiohttpUnsupported if an attribute is missing."""
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in private
        for name in names
        if not hasattr(owner, name)
    ]
    if missing:
        raise AiohttpUnsupported(
            f"aiohttp {aiohttp.__version__} has no {', '.join(missing)}."
            f" This release of tallykv is known to work with {', '.join(CHECKED_VERSIONS)}:"
            f" run pip install aiohttp=={CHECKED_VERSIONS[-1]}"
        )


check_private_attributes()

#: ``ErrInfo(status, error, message)`` stands in the queue of requests for one that is refused.
ErrInfo: Final = web_protocol._ErrInfo  # noqa: SLF001

#: Stands for the request line and the headers of a request that is refused.
ERROR_MESSAGE: Final = web_protocol.ERROR
#: What reads a body after its request was answered gets this error.
PAYLOAD_ACCESS_ERROR: Final = web_protocol._PAYLOAD_ACCESS_ERROR  # noqa: SLF001

#: ``serialize_headers(status_line, headers)`` returns the head of a response as bytes.
serialize_headers: Final[Callable[..., bytes]] = http_writer._serialize_headers  # noqa: SLF001
