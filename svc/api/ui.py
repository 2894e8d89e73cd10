"""``/ui``: a page for people, which uses this API from their browser.

It is public: its files say nothing of what is stored or configured. They are read when the page is
first asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Final

from aiohttp import hdrs, web

from .static_files import send_file

PAGE: Final = "index.html"
#: What each file is, by its ending. Other files of the package are not served.
MEDIA: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
#: No script or style in the page, none of another origin, none made of text. Images may be values
#: of entries, which the page has read itself.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


async def read_page(request: web.Request) -> web.StreamResponse:
    return await _send(request, PAGE)


async def read_asset(request: web.Request) -> web.StreamResponse:
    """Return a file of the page, or send a browser to the page, whose links begin at ``/ui``."""
    name = request.match_info["asset"]
    if not name:
        return web.Response(status=308, headers={hdrs.LOCATION: "../ui"})
    return await _send(request, name)


async def _send(request: web.Request, name: str) -> web.StreamResponse:
    if name not in _names():
        raise web.HTTPNotFound
    load = (_folder() / name).read_bytes
    return await send_file(request, f"ui/{name}", MEDIA[PurePath(name).suffix], load, POLICY)


@cache
def _folder() -> Traversable:
    return resources.files(f"{__package__.rpartition('.')[0]}.ui")


@cache
def _names() -> frozenset[str]:
    """Return the names of the page's files."""
    return frozenset(
        each.name for each in _folder().iterdir() if PurePath(each.name).suffix in MEDIA
    )
