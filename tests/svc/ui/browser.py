"""A real browser for the tests of the page, and what it complains about."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.waiting import PATIENT_SECONDS

MILLISECONDS: Final = PATIENT_SECONDS * 1000


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run Chromium until the block ends."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (Debian package chromium)")
    expect.set_options(timeout=MILLISECONDS)
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"]  # the tests may run as root
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def opened(
    browser: Browser, base: str, view: str = "", **options: Any
) -> AsyncIterator[Page]:
    """Open the page. At the end, its scripts must have thrown nothing, and asked nobody else."""
    context = await browser.new_context(**options)
    context.set_default_timeout(MILLISECONDS)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if is_bad(said) else None)
    page.on("request", lambda sent: problems.append(sent.url) if is_foreign(sent, base) else None)
    try:
        await page.goto(f"{base}/ui{view}")
        yield page
    finally:
        await context.close()
    assert problems == []


def is_bad(said: Any) -> bool:
    """Return True for what the console is told, but for statuses of answers, which are expected."""
    return said.type in {"error", "warning"} and "Failed to load resource" not in said.text


def is_foreign(sent: Any, base: str) -> bool:
    parts = urlsplit(sent.url)
    return parts.scheme not in {"blob", "data"} and f"{parts.scheme}://{parts.netloc}" != base
