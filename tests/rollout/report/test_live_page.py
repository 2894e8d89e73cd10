"""The live page, in a real browser: it follows the rollout, and says when the runner is gone."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Page, async_playwright, expect

from rollout.report.live_page import LivePage, serve_page
from rollout.runner.events import EventKind
from tests.rollout.report.simulated_rollout import plan_summary, simulate_rollout

#: Long, because these tests ask what is shown, not when.
MILLISECONDS = 120_000.0


@contextlib.asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (Debian package chromium)")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"]  # the tests may run as root
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def test_a_browser_sees_the_share_change_and_the_runner_go() -> None:
    rollout = simulate_rollout()
    begins = [index for index, each in enumerate(rollout.events) if each.kind is EventKind.STEP]
    live = LivePage(rollout.plan)
    expect.set_options(timeout=MILLISECONDS)

    async with browser_page() as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        async with serve_page(live, "127.0.0.1", 0) as port:
            await page.goto(f"http://127.0.0.1:{port}/")
            await expect(page.locator("h1")).to_have_text(re.compile("has not begun"))
            told = 0
            for begin in begins[:3]:
                for event in rollout.events[told : begin + 6]:
                    live.show_event(event)
                told = begin + 6
                step = rollout.events[begin]
                row = page.locator("tbody tr", has_text=step.step or "")
                await expect(row).to_contain_text(f"{step.share or 0:.0%}".replace("%", " %"))
            await expect(page.locator("svg.chart.wide")).to_have_count(1)
        # The rollout has no verdict yet.
        await expect(page.get_by_role("alert")).to_contain_text("perhaps nobody watches the canary")

        restarted = LivePage(rollout.plan)
        async with serve_page(restarted, "127.0.0.1", port):
            for event in rollout.events:
                restarted.show_event(event)
            await expect(page.locator("h1")).to_have_text(re.compile("^Promoted"))
            await expect(page.get_by_role("alert")).to_have_count(0)
    assert problems == []


async def test_the_verdict_reaches_a_page_before_the_server_ends() -> None:
    rollout = simulate_rollout()
    live = LivePage(rollout.plan)

    async with aiohttp.ClientSession() as session:
        async with serve_page(live, "127.0.0.1", 0) as port:
            address = f"http://127.0.0.1:{port}/"
            live.show_event(rollout.events[0])
            async with session.get(address, params={"seen": "", "tab": "a"}) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe-inline" not in policy.partition("script-src")[2]
                seen = answer.headers["Page-Version"]
            for event in rollout.events[1:]:
                live.show_event(event)

            async def fetch() -> str:
                async with session.get(address, params={"seen": seen, "tab": "a"}) as answer:
                    return await answer.text()

            # It is sent after the verdict, when the server has begun to end.
            news = asyncio.create_task(fetch())
        assert "<h1>Promoted" in await news


async def test_hostile_names_are_only_text_beside_the_script() -> None:
    live = LivePage(plan_summary(rollout="</title><script>alert(1)</script>"))

    async with (
        serve_page(live, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        text = await answer.text()

    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text
