"""``python -m tests.svc.ui.pictures``: take the pictures of the page that the documentation shows.

They show a canary of 10 % behind a real Envoy, which fails three requests in a hundred.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
from playwright.async_api import Page

from rollout.rehearsal.executables import find_redis
from tests.support.redis_servers import running_redis
from tests.support.services import ROOT
from tests.svc.ui.browser import opened, running_browser
from tests.svc.ui.entrance import running_split

FOLDER: Final = ROOT / "docs" / "images"
MAX_BYTES: Final = 200_000
SIZE: Final = {"width": 1200, "height": 720}
CANARY_PERCENT: Final = 10
#: How long traffic is sent before its picture is taken.
TRAFFIC_SECONDS: Final = 45

ENTRIES: Final = {
    "config/flags": b'{"checkout": {"enabled": true, "percent": 25}, "search": {"enabled": false,'
    b' "reason": null}, "limits": [10, 100, 9007199254740993]}',
    "config/banner": b'"Back at noon"',
    "config/regions": b'["eu", "us", "ap"]',
    "users/1001": b'{"name": "Ada"}',
    "users/1002": b'{"name": "Grace"}',
    "users/1003": b'{"name": "Edsger"}',
    "jobs/last": b'{"ok": true}',
}
COUNTERS: Final = {"visits": 128_439, "orders.paid": 5_312, "orders.failed": 17, "mails": 40_961}


@contextlib.asynccontextmanager
async def running_entrance() -> AsyncIterator[str]:
    """Run what the pictures show, with some data."""
    with tempfile.TemporaryDirectory() as name, running_redis(find_redis(), Path(name)) as redis:
        faults = {"fault_error_ratio": 0.03}
        async with running_split(redis.url, Path(name), CANARY_PERCENT, **faults) as base:
            async with aiohttp.ClientSession(base) as client:
                for key, value in ENTRIES.items():
                    await send(client, "PUT", f"/v1/kv/{key}", value)
                for counter, count in COUNTERS.items():
                    await send(client, "PUT", f"/v1/counters/{counter}", b'{"value":%d}' % count)
            yield base


async def send(client: aiohttp.ClientSession, method: str, path: str, body: bytes) -> None:
    """Send until it is done: a few in a thousand meet a deliberate failure."""
    headers = {"Content-Type": "application/json"}
    for _ in range(10):
        async with client.request(method, path, data=body, headers=headers) as answer:
            if answer.ok:
                return
    raise RuntimeError(f"{method} {path} failed")


async def show_traffic(page: Page) -> None:
    await page.fill("#rate", "60")
    await page.fill("#expected", "stable 90, canary 10")
    for kind in ("put", "increment"):
        await page.check(f"#kind-{kind}")
    await page.wait_for_timeout(1000 * TRAFFIC_SECONDS)
    await page.locator(".errors summary").first.click()
    await page.locator("h1").click()


async def show_conflict(page: Page) -> None:
    await page.click("#tab-entries")
    await page.click("[data-key='config/flags']")
    await page.get_by_role("button", name="Edit", exact=True).click()
    await page.fill("#edit-value", '{\n  "checkout": {"enabled": true, "percent": 50}\n}')
    theirs = b'{\n  "checkout": {"enabled": false, "percent": 0}\n}'
    async with aiohttp.ClientSession(page.url.partition("/ui")[0]) as client:
        await send(client, "PUT", "/v1/kv/config/flags", theirs)
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.locator(".conflict").wait_for()
    await page.locator(".conflict").scroll_into_view_if_needed()


async def show_counters(page: Page) -> None:
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Leave", exact=True).click()
    await page.click("#tab-counters")
    await page.fill("#counter-name", "visits")
    for round_ in range(12):
        for name in ("visits", "orders.paid", "mails")[: 1 + round_ % 3]:
            await page.locator(f"[data-counter='{name}'] button", has_text="+1").click()
        await page.wait_for_timeout(150)
    await page.get_by_role("button", name="Increment", exact=True).click()
    await page.wait_for_timeout(1500)


VIEWS: Final = {
    "traffic": show_traffic,
    "conflict": show_conflict,
    "counters": show_counters,
}


async def take_pictures() -> None:
    async with (
        running_entrance() as base,
        running_browser() as browser,
        opened(browser, base, viewport=SIZE) as page,
    ):
        for name, show in VIEWS.items():
            await show(page)
            await take(page, name)


async def take(page: Page, name: str) -> None:
    path = FOLDER / f"ui-{name}.png"
    await page.screenshot(path=path)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}  {size} bytes\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{path}: more than {MAX_BYTES} bytes")


def main() -> int:
    if shutil.which("chromium") is None:
        sys.exit("needs chromium (Debian package chromium)")
    asyncio.run(take_pictures())
    return 0


if __name__ == "__main__":
    sys.exit(main())
