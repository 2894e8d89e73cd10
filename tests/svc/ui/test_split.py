"""The page behind a real Envoy that splits the requests: it shows the canary from outside.

The long form is the promise: with weights of 90 and 10, the share that the page shows is within 3
points of them after 30 seconds. The short form has equal weights, so that a few requests suffice.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from playwright.async_api import Page, expect

from tests.support.redis_servers import RedisServer
from tests.support.sizes import size
from tests.support.waiting import eventually
from tests.svc.ui.browser import opened, running_browser
from tests.svc.ui.entrance import running_split

CANARY_PERCENT: Final = size(50, long=10)
#: When the share must have settled.
SETTLE_SECONDS: Final = size(0, long=30)
#: So many requests that chance alone moves no share as far as POINTS.
LEAST_REQUESTS: Final = size(60, long=2000)
POINTS: Final = size(40, long=3)


async def test_the_split_that_the_page_shows_settles_at_the_weights(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with (
        running_split(redis_server.url, tmp_path, CANARY_PERCENT) as base,
        running_browser() as browser,
        opened(browser, base) as page,
    ):
        began = time.monotonic()
        await page.fill("#rate", "100")
        await page.fill("#expected", f"stable {100 - CANARY_PERCENT}, canary {CANARY_PERCENT}")
        for kind in ("put", "increment"):
            await page.check(f"#kind-{kind}")
        canary = page.locator("[data-track=canary]")

        await eventually(lambda: time.monotonic() - began >= SETTLE_SECONDS, what="the time")
        requests, share = await eventually(lambda: read_share(page), what="enough requests")

        assert abs(share - CANARY_PERCENT) <= POINTS, requests
        await expect(canary).to_contain_text("1.5.0 · canary")
        await expect(canary.locator("td").nth(2)).to_have_text(f"{CANARY_PERCENT}\u202f%")


async def read_share(page: Page) -> tuple[int, float] | None:
    """Return all requests and the canary's percent, as shown; None before there are enough."""
    requests, percents = 0, {}
    for row in await page.locator("[data-track]").all():
        cells = await row.locator("td").all_text_contents()
        requests += int(re.sub(r"\D", "", cells[0]) or 0)
        percents[await row.get_attribute("data-track")] = cells[1].partition("\u202f")[0]
    enough = requests >= LEAST_REQUESTS and "canary" in percents
    return (requests, float(percents["canary"])) if enough else None
