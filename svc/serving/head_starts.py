"""The part of a head that all answers of one second with one status have: rendered once."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp.helpers import rfc822_formatted_time

from ..api.context import Identity


class HeadStarts:
    """By status, the status line, the date, and who answers: bytes that end with a line."""

    def __init__(self, identity: Identity) -> None:
        self.names = {
            "Server": "tallykv",
            "KV-Version": identity.version,
            "KV-Track": identity.track,
            "KV-Pod": identity.pod,
        }
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in self.names.items())
        self._date = ""
        self._starts: dict[int, bytes] = {}

    def of(self, status: int) -> bytes:
        """Return the start of an answer with the status, by HTTP/1.1."""
        date = rfc822_formatted_time()
        if date is not self._date:  # it is made once a second
            self._date = date
            self._starts.clear()
        start = self._starts.get(status)
        if start is None:
            line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nDate: {date}\r\n"
            start = self._starts[status] = f"{line}{self._lines}".encode("ascii")
        return start
