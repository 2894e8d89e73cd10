"""Files that browsers load: read and compressed when first asked for, then revalidated by ETag."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec
from aiohttp import hdrs, web

from .budget import SMALL_BYTES, take_bytes
from .header_lists import accepts_gzip
from .preconditions import check_read, is_unchanged


class File(msgspec.Struct, frozen=True):
    """What is sent: compressed, because nearly every client wants it so."""

    zipped: bytes
    size: int
    etag: str


class Shelf:
    """The files that have been asked for until now, by name."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._lock = asyncio.Lock()

    async def find(self, name: str, load: Callable[[], bytes]) -> File:
        """Return it. Load and compress it in a thread the first time."""
        if name not in self._files:
            async with self._lock:
                if name not in self._files:
                    self._files[name] = await asyncio.to_thread(_build, load)
        return self._files[name]


SHELF: Final = web.AppKey("shelf", Shelf)


def _build(load: Callable[[], bytes]) -> File:
    raw = load()
    # Weak: it names the content, however it is encoded.
    etag = f'W/"{blake2b(raw, digest_size=16).hexdigest()}"'
    return File(gzip.compress(raw, mtime=0), len(raw), etag)


async def send_file(
    request: web.Request,
    name: str,
    media: str,
    load: Callable[[], bytes],
    policy: str | None = None,
) -> web.Response:
    """Return the file of this name. ``policy`` is what its page may do, if it is one of a page."""
    file = await request.app[SHELF].find(name, load)
    check_read(request, file.etag)
    headers = {
        hdrs.ETAG: file.etag,
        # During a rollout the next answer may come from another release.
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.VARY: "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if policy is not None:
        headers["Content-Security-Policy"] = policy
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Referrer-Policy"] = "no-referrer"
    if is_unchanged(request, file.etag):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = media
    body = file.zipped
    if accepts_gzip(request):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    elif file.size > SMALL_BYTES:
        take_bytes(request, file.size)
        body = await asyncio.to_thread(gzip.decompress, body)
    else:
        body = gzip.decompress(body)
    return web.Response(body=body, headers=headers)
