"""The page in a real browser, over a real service: what people do with it, and what it shows."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Locator, Page, expect

from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.tokens import text_of, write_tokens
from tests.support.waiting import eventually
from tests.svc.ui.browser import opened, running_browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWS = ("traffic", "entries", "counters", "service")
#: A picture of one pixel.
PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(shared_redis: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=shared_redis.url, version="1.4.0", pod="pod-1")
    async with running_service(settings) as running:
        yield running


async def put(service: Service, key: str, value: bytes, kind: str = "application/json") -> None:
    """Write an entry as another client does."""
    path, headers = f"/v1/kv/{key}", {"Content-Type": kind}
    async with service.put(path, data=value, headers=headers) as answer:
        assert answer.status in {200, 201}


async def says(service: Service, path: str, text: str) -> bool:
    async with service.get(path) as answer:
        return answer.ok and text in await answer.text()


async def press(where: Page | Locator, name: str) -> None:
    await where.get_by_role("button", name=name, exact=True).click()


async def test_it_opens_and_shows_which_release_answers(browser: Browser, service: Service) -> None:
    async with opened(browser, service.base) as page:
        row = page.locator("[data-release='1.4.0 · stable']")
        await page.check("#kind-put")
        await page.check("#kind-increment")
        await page.fill("#expected", "stable 90, canary 10")

        await expect(row.locator("td").nth(0)).to_have_text(re.compile(r"^([6-9]|\d\d+)$"))
        await expect(row).to_contain_text("✗")
        await expect(row).to_contain_text("100\u202f%")
        for path in ("/v1/counters/ui-traffic", "/v1/kv?prefix=ui-traffic/"):
            await eventually(partial(says, service, path, "ui-traffic"), what=path)
        await page.fill("#expected", "stable 90")
        await expect(page.locator("#expected-said")).to_contain_text("not 100")
        await page.click("h1")
        await page.keyboard.press("Space")
        await expect(page.locator("#traffic-toggle")).to_have_text("Start")


async def test_an_error_can_be_opened(browser: Browser, shared_redis: RedisServer) -> None:
    settings = Settings(
        store_url=shared_redis.url, version="1.5.0", track="canary", fault_error_ratio=1
    )
    async with running_service(settings) as bad, opened(browser, bad.base) as page:
        error = page.locator("[data-code='injected_fault']").first
        await error.locator("summary").click()

        await expect(error.locator("pre")).to_contain_text('"applied"')
        trace = error.locator("dt:text-is('Trace') + dd")
        await expect(trace).to_have_text(re.compile(r"^[0-9a-f]{32}$"))
        await expect(page.locator("[data-track='canary']")).to_contain_text("0.00\u202f%")


async def test_an_entry_is_made_and_a_change_from_elsewhere_appears_at_once(
    browser: Browser, service: Service
) -> None:
    async with opened(browser, service.base, "#entries") as page:
        await expect(page.locator("#entries .state")).to_have_text("live")
        await page.keyboard.press("n")
        await page.fill("#edit-key", "live/made")
        await page.fill("#edit-value", '{"n": 12345678901234567890, "list": [1]}')
        await page.select_option("#edit-ttl", "other")
        await page.fill("#edit-seconds", "3600")
        await press(page, "Create")
        panel = page.locator(".entry")
        await expect(panel.locator(".json")).to_contain_text("12345678901234567890")
        await expect(panel).to_contain_text(re.compile("in (59|60) min"))

        await put(service, "live/made", b'{"n":"changed by curl"}')
        await expect(panel.locator(".json")).to_contain_text("changed by curl")
        await put(service, "live/another", b"\x00\x01\xff", "application/octet-stream")
        await page.click("[data-key='live/another']")
        await expect(panel.locator(".hex")).to_contain_text("00 01 ff")
        async with service.delete("/v1/kv/live/another"):
            await expect(page.locator("[data-key='live/another']")).to_have_count(0)


async def test_a_long_list_comes_in_pages_and_an_open_entry_is_live_all_the_same(
    browser: Browser, shared_redis: RedisServer
) -> None:
    async with running_service(Settings(store_url=f"{shared_redis.url}/1")) as service:
        for first in range(0, 1500, 500):
            keys = [f"many/{n % 20}/{n}" for n in range(first, first + 500)]
            operations = [{"op": "put", "key": key, "value": 1} for key in keys]
            async with service.post("/v1/batch", json={"operations": operations}) as answer:
                assert answer.status == 200
        async with opened(browser, service.base, "#entries") as page:
            state, count = page.locator("#entries .state"), page.locator("#entries .tools .number")
            await expect(state).to_contain_text("not live: the first")
            await page.click("[data-branch='many/']")
            await page.locator("[data-branch^='many/'][data-level='2']").first.click()
            await page.locator("[data-key]").first.click()
            key = await page.locator(".entry h2").text_content()
            await put(service, str(key), b"seen", "text/plain")
            await expect(page.locator(".entry pre")).to_have_text("seen")

            # A page may be short, so how many there are is not known.
            while (shown := await count.text_content()) != "1500 entries":
                await page.get_by_role("button", name="Load more").click()
                await expect(count).not_to_have_text(str(shown))
            await expect(state).to_have_text("live")
            await put(service, "picture", PNG, "image/png")
            await page.click("[data-key='picture']")
            await expect(page.locator("figure img")).to_have_js_property("naturalWidth", 1)


async def test_a_conflict_shows_both_versions_and_lets_one_choose(
    browser: Browser, service: Service
) -> None:
    await put(service, "conflict", b'{"by":"nobody"}')
    async with opened(browser, service.base, "#entries") as page:
        await page.click("[data-key='conflict']")
        await press(page, "Edit")
        await page.fill("#edit-value", '{"by":"me"}')
        await put(service, "conflict", b'{"by":"them"}')
        await expect(page.locator(".said")).to_contain_text("changed it meanwhile")

        await press(page, "Save")
        conflict = page.locator(".conflict")
        await expect(conflict).to_contain_text('{"by":"them"}')
        await expect(conflict).to_contain_text('{"by":"me"}')
        await put(service, "conflict", b'{"by":"third"}')
        await press(page, "Write mine over it")
        # Not over what it has not shown.
        await expect(conflict).to_contain_text('{"by":"third"}')
        await press(page, "Write mine over it")
        await expect(page.locator(".entry .json")).to_contain_text('"me"')

        await press(page.locator(".entry"), "Delete")
        await press(page.locator("dialog"), "Delete")
        await expect(page.locator("[data-key='conflict']")).to_have_count(0)
    async with service.get("/v1/kv/conflict") as answer:
        assert answer.status == 404


async def test_a_counter_is_incremented_once_and_its_value_is_live(
    browser: Browser, service: Service
) -> None:
    async with opened(browser, service.base, "#counters") as page:
        await expect(page.locator("#counters .state")).to_have_text("live")
        await page.fill("#counter-name", "visits")
        await page.fill("#counter-by", "9007199254740993")
        await press(page, "Increment")
        await expect(page.locator("#counters output")).to_contain_text("(+")
        await press(page, "Increment")
        await expect(page.locator("#counters output")).to_contain_text("not counted again")
        row = page.locator("[data-counter=visits]")
        await expect(row.locator(".value")).to_have_text(
            re.compile(r"^9\D007\D199\D254\D740\D993$")
        )

        await row.get_by_role("button", name="add 1").click()
        await expect(row.locator(".value")).to_have_text(re.compile("994$"))
        async with service.put("/v1/counters/visits", json={"value": 7}):
            await expect(row.locator(".value")).to_have_text("7")
        await expect(row.locator("svg")).to_have_attribute("aria-label", re.compile("to 7$"))


async def test_what_a_token_does_not_allow_is_greyed_out(
    browser: Browser, shared_redis: RedisServer, tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens", {"reader": "read", "all": "read,write,delete"})
    settings = Settings(store_url=shared_redis.url, tokens_file=tokens)
    async with running_service(settings) as guarded, opened(browser, guarded.base) as page:
        await page.fill("#token-text", "tkv_nobody_x")
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog [role=alert]")).to_contain_text("does not know")
        await page.fill("#token-text", text_of("reader"))
        await page.keyboard.press("Enter")
        await expect(page.locator("#token")).to_have_text("Token: reader")
        await expect(page.locator("#kind-put")).to_be_disabled()
        await expect(page.locator("#kind-get")).to_be_enabled()

        await page.click("#tab-entries")
        await expect(page.locator("#entries .state")).to_have_text("live")
        create = page.get_by_role("button", name="New entry")
        await expect(create).to_be_disabled()
        await page.click("#token")
        await page.fill("#token-text", text_of("all"))
        await page.keyboard.press("Enter")
        await expect(create).to_be_enabled()
        kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert await page.evaluate(kept) == '[{},{},""]'


async def test_the_keyboard_is_enough(browser: Browser, service: Service) -> None:
    for key in ("keys/a/1", "keys/a/2", "keys/b"):
        await put(service, key, b"{}")
    async with opened(browser, service.base) as page:
        await page.focus("#tab-traffic")
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#tab-entries")).to_be_focused()
        await page.keyboard.press("/")
        await page.keyboard.type("keys/")
        await expect(page.locator("#entries [data-key]").last).to_have_attribute(
            "data-key", "keys/b"
        )
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator(".entry h2")).to_have_text("keys/a/1")
        await page.keyboard.press("4")
        await expect(page.locator("#service")).to_contain_text("max_value_bytes")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("Keyboard")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_axe_finds_nothing_serious_and_a_phone_shows_it_all(
    browser: Browser, service: Service
) -> None:
    await put(service, "shown", b'{"a":[1,2]}')
    size = {"width": 390, "height": 780}
    async with opened(browser, service.base, viewport=size) as page:
        await page.fill("#expected", "stable 90, canary 10")
        await press(page, "Pause")
        for view in VIEWS:
            await page.click(f"#tab-{view}")
            await expect(page.locator(f"#{view}")).to_be_visible()
            if view == "entries":
                await page.click("[data-key='shown']")
                await press(page, "Edit")
            await eventually(lambda: fits(page), what="the width")
            assert await violations(page) == [], view
            await page.emulate_media(color_scheme="dark")
            assert await violations(page, runOnly=["color-contrast"]) == [], view
            await page.emulate_media(color_scheme="light")


async def violations(page: Page, **options: Any) -> list[tuple[str, str]]:
    """Return what axe finds that is serious: the rules, and the first element of each."""
    found = await Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [
        (each["id"], each["nodes"][0]["html"])
        for each in found.response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


async def fits(page: Page) -> bool:
    wide: bool = await page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return wide
