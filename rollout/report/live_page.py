"""The report of a rollout that runs, served over HTTP: it shows each event as it happens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ..runner.events import VERDICTS, Event
from .html_report import render_html
from .markup import Markup, element
from .plan_summary import PlanSummary
from .stylesheet import STYLESHEET

#: A request for news is answered after this time at the latest, in seconds.
_NEWS_SECONDS: Final = 20.0
#: How long the server waits at the end until open pages have fetched the verdict, in seconds.
_LAST_LOOK_SECONDS: Final = 2.0
#: Open pages that are waited for at the end.
_MAX_PAGES: Final = 32
_VERSION: Final = "Page-Version"
#: Fetches the page again when there is news, and says so if the runner does not answer.
_SCRIPT: Final = """
(async () => {
  const tab = Math.random().toString(36).slice(2);
  const pause = () => new Promise((go) => setTimeout(go, 1000));
  let seen = "";
  for (;;) {
    try {
      const answer = await fetch(`?seen=${seen}&tab=${tab}`);
      if (answer.status === 200) {
        seen = answer.headers.get("Page-Version");
        const news = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.title = news.title;
        document.body.replaceWith(news.body);
      } else if (answer.status !== 204) throw new Error(answer.status);
      document.getElementById("lost")?.remove();
      if (!document.body.classList.contains("running")) return;
    } catch {
      if (!document.getElementById("lost")) {
        const note = document.createElement("p");
        note.id = "lost";
        note.setAttribute("role", "alert");
        note.textContent = `The runner has not answered since ${new Date().toLocaleTimeString()}: `
          + "this page shows what was known then, and perhaps nobody watches the canary.";
        document.body.prepend(note);
      }
      await pause();
    }
  }
})();
"""
_STYLE: Final = "#lost { border: 2px solid var(--bad); color: var(--bad); padding: 8px 12px; }"


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; connect-src 'self';"
    f" script-src {_hash_of(_SCRIPT)}; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class LivePage:
    """The page of one rollout; pass every event to ``show_event``, in order."""

    def __init__(self, plan: PlanSummary) -> None:
        self._plan = plan
        self._events: list[Event] = []
        #: Another process has other versions, so a page notices that the runner was restarted.
        self._process: Final = secrets.token_hex(4)
        self._news = asyncio.Event()
        self._rendered = ("", "")
        #: The version that each open page fetched last; a dict, because it keeps the order.
        self._tabs: dict[str, str] = {}

    def show_event(self, event: Event) -> None:
        """Show the event from now on, on all open pages."""
        if self._events and self._events[-1].kind in VERDICTS:
            self._events.clear()  # a new rollout
        self._events.append(event)
        self._tell()

    async def answer(self, request: web.Request) -> web.Response:
        """Return the page; if the client has seen it, wait for news, and return 204 without any."""
        seen = request.query.get("seen")
        if seen == self._version:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _NEWS_SECONDS)
        if seen == self._version:
            return web.Response(status=204, headers=_HEADERS)
        if tab := request.query.get("tab"):
            self._tabs.pop(tab, None)
            self._tabs[tab] = self._version
            while len(self._tabs) > _MAX_PAGES:
                del self._tabs[next(iter(self._tabs))]
            self._tell()
        version = self._version
        return web.Response(
            text=self._render(),
            content_type="text/html",
            headers={**_HEADERS, _VERSION: version},
        )

    async def finish(self) -> None:
        """Wait until open pages have fetched the last version, for a moment at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_LOOK_SECONDS):
                while any(each != self._version for each in self._tabs.values()):
                    await self._news.wait()

    @property
    def _version(self) -> str:
        return f"{self._process}-{len(self._events)}"

    def _tell(self) -> None:
        """Wake those who wait; each looks at the version again."""
        self._news.set()
        self._news = asyncio.Event()

    def _render(self) -> str:
        version, text = self._rendered
        if version != self._version:
            text = render_html(self._events, (), self._plan) if self._events else self._waiting()
            more = element("style", Markup(_STYLE)) + element("script", Markup(_SCRIPT))
            self._rendered = self._version, text.replace("</head>", f"{more}</head>", 1)
        return self._rendered[1]

    def _waiting(self) -> str:
        title = f"{self._plan.namespace}/{self._plan.rollout}: the rollout has not begun"
        head = element("head", element("title", title), element("style", Markup(STYLESHEET)))
        body = element("body", element("header", element("h1", title)), class_="running")
        return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


@contextlib.asynccontextmanager
async def serve_page(page: LivePage, host: str, port: int) -> AsyncIterator[int]:
    """Serve the page until the block ends; yield the port. Port 0 lets the system choose one.

    Raise OSError if the address can't be used.
    """
    app = web.Application()
    app.router.add_get("/", page.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
        await page.finish()
    finally:
        await runner.cleanup()
