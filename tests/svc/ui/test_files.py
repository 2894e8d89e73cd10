"""The files of the page, as they are served, and ``/v1/status``, which the page asks."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, Service, running_service
from tests.support.tokens import bearer, write_tokens

FILES = sorted(path for path in (ROOT / "svc" / "ui").iterdir() if path.suffix != ".py")


@pytest_asyncio.fixture
async def guarded(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Service]:
    """A service that asks for tokens."""
    tokens = {"reader": "read keys=team/", "admin": "read,write,delete,admin"}
    path = write_tokens(tmp_path / "tokens", tokens)
    async with running_service(Settings(store_url=redis_server.url, tokens_file=path)) as running:
        yield running


async def test_the_page_and_its_files_come_to_everybody_under_a_strict_policy(
    guarded: Service,
) -> None:
    for path in ("/ui", *(f"/ui/{file.name}" for file in FILES if file.suffix)):
        async with guarded.get(path) as answer:
            body = await answer.read()
            assert answer.status == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        async with guarded.get(path, headers={"If-None-Match": answer.headers["ETag"]}) as again:
            assert (again.status, await again.read()) == (304, b""), path
        assert path == "/ui" or body == (ROOT / "svc" / path[1:]).read_bytes()


async def test_what_is_no_file_of_the_page_is_not_served(guarded: Service) -> None:
    for path in ("/ui/none.js", "/ui/__init__.py", "/ui/..%2Fapp.py", "/ui/api/x"):
        async with guarded.get(path) as answer:
            assert answer.status in {401, 404}, path
    async with guarded.get("/ui/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "../ui")


def test_the_page_is_small_and_needs_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_bytes() for path in FILES if path.is_file()}

    assert sum(map(len, texts.values())) < 150_000
    assert sum(len(gzip.compress(text)) for text in texts.values()) < 50_000
    for name, text in texts.items():
        urls = re.findall(rb"https?://[^\s\"'`]+", text)
        assert set(urls) <= {b"http://www.w3.org/2000/svg"}, name
    page = texts["index.html"]
    assert not re.search(rb"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", page)


async def test_the_status_says_who_answers_and_what_the_caller_may_do(
    guarded: Service, redis_server: RedisServer
) -> None:
    async def status(**headers: Any) -> Any:
        async with guarded.get("/v1/status", **headers) as answer:
            return await answer.json()

    reader = await status(headers=bearer("reader"))
    assert (reader["status"], reader["store"]["state"]) == ("ok", "serving")
    assert reader["caller"] == {
        "token": "reader",
        "scopes": ["read"],
        "keys": ["team/"],
        "counters": [],
    }
    assert (await status())["code"] == "unauthenticated"

    redis_server.stop()
    reader, admin = [await status(headers=bearer(name)) for name in ("reader", "admin")]
    assert reader["status"] == admin["status"] == "degraded"
    assert reader["store"]["state"] == admin["store"]["state"] == "failing"
    assert reader["store"]["error"] == "store_unavailable"
    # Why the store fails is for admins, as at /statusz.
    assert reader["store"]["failures"] == []
    assert admin["store"]["failures"]


async def test_without_tokens_everybody_may_do_everything(redis_server: RedisServer) -> None:
    async with (
        running_service(Settings(store_url=redis_server.url, pod="pod-1")) as service,
        service.get("/v1/status") as answer,
    ):
        found = await answer.json()

    assert (found["pod"], found["roles"]) == ("pod-1", ["counters", "kv"])
    assert found["caller"] == {
        "token": None,
        "scopes": ["read", "write", "delete", "admin"],
        "keys": [""],
        "counters": [""],
    }
