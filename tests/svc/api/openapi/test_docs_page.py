"""``/docs`` in a real browser: it shows every operation and sends requests, to this site alone."""

from __future__ import annotations

import contextlib
import gzip
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import BrowserContext, async_playwright, expect

from svc.api.openapi.document import OPERATIONS
from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.tokens import bearer, write_tokens

#: Long, because these tests ask what is shown, not when.
MILLISECONDS: Final = 120_000.0
#: What Chromium asks for by itself, if no page names another.
PATHS: Final = ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js")


@pytest.fixture
async def service(shared_redis: RedisServer) -> AsyncIterator[Service]:
    with shared_redis.client() as client:
        client.flushall()
    async with running_service(Settings(store_url=shared_redis.url)) as running:
        yield running


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[BrowserContext]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (Debian package chromium)")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"]  # the tests may run as root
        started = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield await started.new_context()
        finally:
            await started.close()


async def test_the_page_shows_all_operations_and_tries_one(service: Service) -> None:
    await service.put(
        "/v1/kv/greeting", data=b"hello, reader", headers={"Content-Type": "text/plain"}
    )
    expect.set_options(timeout=MILLISECONDS)

    async with browser() as context:
        page = await context.new_page()
        page.set_default_timeout(MILLISECONDS)
        asked: list[str] = []
        told: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(str(error)))
        # A breach of the policy is an event, which a page's own script could not hide.
        await context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error(e.blockedURI))"
        )

        await page.goto(f"{service.base}/docs")
        for operation in OPERATIONS:
            await expect(
                page.locator(f"#operations-{operation.tag}-{operation.id}")
            ).to_be_visible()
        block = page.locator("#operations-entries-readEntry")
        await block.locator(".opblock-summary").click()
        await block.locator('tr[data-param-name="key"] input').fill("greeting")
        await block.get_by_role("button", name="Execute").click()
        await expect(block.locator(".live-responses-table")).to_contain_text("hello, reader")
        await expect(block.locator(".live-responses-table")).to_contain_text("kv-pod")

    assert {url for url in asked if not url.startswith((f"{service.base}/", "data:"))} == set()
    assert f"{service.base}/v1/kv/greeting" in asked
    assert told == []


async def test_who_has_no_token_reads_the_contract_and_nothing_else(
    service: Service, tmp_path: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens", {"reader": "read"})
    settings = replace(service.settings, tokens_file=tokens)

    async with running_service(settings) as guarded:
        for path in (*PATHS, "/docs/favicon-32x32.png", "/v1/openapi.json"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, bearer("reader")):
                async with guarded.get(path, headers=headers) as answer:
                    assert answer.status == 200, path
                    assert await answer.read()
        for path, status in (("/v1/limits", 401), ("/docs/other", 404), ("/docs/x/y", 401)):
            async with guarded.get(path) as answer:
                assert answer.status == status, path


@pytest.mark.parametrize("path", [*PATHS, "/v1/openapi.json"])
async def test_a_client_gets_what_it_can_read_and_asks_again_in_vain(
    service: Service, path: str
) -> None:
    async with service.get(path, headers={"Accept-Encoding": "identity"}) as answer:
        plain, etag = await answer.read(), answer.headers["ETag"]
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Encoding"

    service.client._auto_decompress = False
    async with service.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()) == plain
    async with service.get(path, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, answer.headers["ETag"]) == (304, etag)
        assert await answer.read() == b""


async def test_the_page_allows_no_script_but_its_own(service: Service) -> None:
    async with service.get("/docs") as answer:
        policy, text = answer.headers["Content-Security-Policy"], await answer.text()

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in text.replace("http-equiv", "")
    async with service.get("/docs/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "../docs")
