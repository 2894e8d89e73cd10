"""Heads of requests: which are refused, why, and the one form of target that handlers see.

aiohttp's parser accepts more than HTTP/1.1 allows: other versions, any text as Host, a user name
in the target.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

from aiohttp import hdrs
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from yarl import URL

#: The most bytes of a head, and of a trailer. aiohttp's parser limits lines and their number only,
#: which allows a mebibyte, and keeps each head twice until the next one.
MAX_HEAD_BYTES: Final = 32_768
HEAD_TOO_LARGE: Final = f"the head has more than {MAX_HEAD_BYTES} bytes"
#: RFC 9110 §7.2: uri-host [ ":" port ], where the host is RFC 3986's, and may be empty.
_HOST: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
_PORT: Final = re.compile(r":[0-9]*\Z")
#: RFC 9112 §3.2.2: what clients send to a proxy, and to any server that they take for one.
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)

DETAILS: Final = {
    400: "the request is not well-formed HTTP/1.1",
    408: "the request's head did not arrive in time",
    414: "the request line is too long",
    421: "Host: this port takes its own names only, and those of KV_HOSTS",
    431: "a header is too long, or there are too many",
    505: "only HTTP/1.0 and HTTP/1.1 are spoken here",
}
FAILED: Final = "the service failed; the log says more"


class HeadRefused(HttpProcessingError):
    """A head that the parser accepts and HTTP does not. It has a status and says why."""


def check_head(
    message: RawRequestMessage, hosts: frozenset[str] | None = None
) -> RawRequestMessage | HeadRefused:
    """Return the message with its target in origin form, or why the head is refused.

    ``hosts`` are the names that Host may have, without port; None: any.
    """
    if message.version not in {HttpVersion10, HttpVersion11}:
        return HeadRefused(code=505, message=DETAILS[505])
    for host in message.headers.getall(hdrs.HOST, ()):
        if not _is_host(host):
            return HeadRefused(code=400, message="Host: it is not a host name with or without port")
        if hosts is not None and name_in(host) not in hosts:
            return HeadRefused(code=421, message=DETAILS[421])
    if (
        message.path.startswith("/")
        or message.method == hdrs.METH_CONNECT
        or (message.path == "*" and message.method == hdrs.METH_OPTIONS)
    ):
        return message
    found = _ABSOLUTE.fullmatch(message.path)
    if found is None or not _is_host(found[1]):
        return HeadRefused(code=400, message="the request's target is not a path or an http URL")
    # RFC 9112 §3.2.2: it stands for Host, too.
    if hosts is not None and name_in(found[1]) not in hosts:
        return HeadRefused(code=421, message=DETAILS[421])
    target = found[2] if found[2].startswith("/") else "/" + found[2]
    path, _, query = target.partition("?")
    url = URL.build(path=path, query_string=query, encoded=True)
    rewritten: Any = message
    return rewritten._replace(path=target, url=url)  # type: ignore[no-any-return]


def name_in(host: str) -> str:
    """Return the name in Host, without its port, in lower case."""
    return _PORT.sub("", host).lower()


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    if found is None:
        return False
    try:
        return found[1] is None or bool(ipaddress.IPv6Address(found[1]))
    except ValueError:
        return False


def status_of(error: BaseException | None) -> int:
    """Return the status for an error of the parser."""
    if isinstance(error, HeadRefused):
        return error.code
    if isinstance(error, LineTooLong):
        # aiohttp's parser keeps the request line as a bytearray, and header lines as bytes.
        return 414 if isinstance(error.args[0], bytearray) else 431
    text = str(error)
    if "Too many headers" in text:
        return 431
    # Another version, or the preface of a client that speaks HTTP/2 at once.
    return 505 if "Invalid HTTP version" in text or "Pause on PRI" in text else 400
