"""An HTTP server in place of all pods: it returns the head of each request as its body.

Run as a program with a port. ``x-tallykv-answer`` in a request chooses the status. Of requests with
an ``x-tallykv-id`` it remembers the clusters that they came through. ``GET /`` with the header
``x-tallykv-seen`` returns those. It imports nothing of this project, so that it starts quickly.
"""

from __future__ import annotations

import asyncio
import base64
import re
import sys
from typing import Any, Final

_ID: Final = re.compile(rb"\r\nx-tallykv-id: ([^\r\n]*)", re.IGNORECASE)
_SEEN: Final = re.compile(rb"\r\nx-tallykv-seen: ([^\r\n]*)", re.IGNORECASE)
_CLUSTER: Final = re.compile(rb"\r\nx-tallykv-cluster: ([^\r\n]*)", re.IGNORECASE)
_ANSWER: Final = re.compile(rb"\r\nx-tallykv-answer: (\d{3})", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_MAX_HEAD: Final = 1 << 20

#: The clusters of each id, in order of arrival.
seen: dict[bytes, list[bytes]] = {}


class Echo(asyncio.Protocol):
    """A connection; requests may follow each other without waiting."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._buffer += data
        answers = []
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                break
            del self._buffer[:whole]
            answers.append(answer(head))
        if answers:
            self._transport.write(b"".join(answers))
        if len(self._buffer) > _MAX_HEAD:
            self._transport.abort()


def answer(head: bytes) -> bytes:
    """Return the response to a request."""
    asked = _SEEN.search(head)
    body = head
    if asked:
        body = b"\n".join(seen.pop(asked[1], []))
    elif marked := _ID.search(head):
        cluster = _CLUSTER.search(head)
        seen.setdefault(marked[1], []).append(cluster[1] if cluster else b"")
    chosen = _ANSWER.search(head)
    status = chosen[1] if chosen else b"200"
    if head.startswith(b"HEAD "):
        # Its response has no body.
        shown = base64.b64encode(head)
        return b"HTTP/1.1 %b -\r\ncontent-length: 0\r\nx-tallykv-head: %b\r\n\r\n" % (status, shown)
    return b"HTTP/1.1 %b -\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
