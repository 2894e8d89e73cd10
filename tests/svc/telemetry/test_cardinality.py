"""The number of series stays small, and no label has clients' text, whatever clients send."""

from __future__ import annotations

import asyncio
import random
import string
from typing import Final

import pytest

from tests.support.instrumented_service import Serve, scrape, text_scrape
from tests.support.raw_http import exchange, raw_connection

PATHS: Final = 10_000
METHODS: Final = 50
KEYS: Final = 1_000
#: The text of a client, which the test searches for.
MADE_UP: Final = "zzyzx"
LIMIT: Final = 40
SERIES_OF_A_POD: Final = 1_500
EXPOSITION_BYTES: Final = 250_000

HEADS: Final = (
    "GET /v1/kv/{} HTTP/1.1\r\nHost: t\r\n\r\n",
    "PUT /v1/kv/{} HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{{}}",
    "DELETE /v1/kv/{} HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /v1/counters/{}/increments HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
    "GET /v1/counters/{} HTTP/1.1\r\nHost: t\r\n\r\n",
)


def random_text(drawn: random.Random) -> str:
    return MADE_UP + "".join(drawn.choices(string.ascii_letters, k=12))


async def send_all(port: int, requests: list[str]) -> None:
    """Send the requests one after the other on one connection."""
    async with raw_connection(port) as wire:
        for each in requests:
            await wire.send(each)
            await wire.answer()


async def flood(port: int, requests: list[str]) -> None:
    await asyncio.gather(*(send_all(port, requests[i::16]) for i in range(16)))


def paths(drawn: random.Random) -> list[str]:
    """Return requests for random paths, with known first segments and others."""
    prefixes = ("/v1/", "/v1/kv/", "/v1/counters/", "/docs/", "/ui/", "/", "/v2/")
    segments = (
        "/".join(random_text(drawn) for _ in range(drawn.randint(1, 3))) for _ in range(PATHS)
    )
    return [
        f"GET {drawn.choice(prefixes)}{segment} HTTP/1.1\r\nHost: t\r\n\r\n" for segment in segments
    ]


def keys(drawn: random.Random) -> list[str]:
    return [drawn.choice(HEADS).format(random_text(drawn)) for _ in range(KEYS)]


async def ask_by_methods(port: int, methods: list[str]) -> None:
    for method in methods:
        answer = await exchange(port, f"{method} /v1/kv/k HTTP/1.1\r\nHost: t\r\n\r\n")
        assert answer.status in {400, 405}


async def test_made_up_paths_methods_and_keys_add_few_series(observed: Serve) -> None:
    drawn = random.Random(1)
    async with observed(store_timeout_ms=60_000) as service:
        # What every service receives in its first minutes.
        usual = [head.format("there") for head in HEADS]
        usual += [head.format("not-there") for head in reversed(HEADS)]
        for path in ("/v1/nothing", "/nothing", "/ui/nothing", "/docs/nothing"):
            usual += [f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"]
        await send_all(service.port, usual)
        before = await scrape(service)

        await flood(service.port, paths(drawn))
        known_to_http = ["PURGE", "LOCK", "COPY", "PROPFIND", "M-SEARCH"]
        await ask_by_methods(service.port, known_to_http * 5)
        await ask_by_methods(service.port, [random_text(drawn).upper() for _ in range(METHODS)])
        await flood(service.port, keys(drawn))

        shown, text = await scrape(service), await text_scrape(service)

    assert shown.value("http_server_request_duration_seconds_count") > PATHS + KEYS
    added = shown.series() - before.series()
    assert len(added) <= LIMIT
    assert {dict(labels).get("http_request_method") for _, labels in added} == {"_OTHER"}
    assert len(shown.series()) <= SERIES_OF_A_POD
    assert len(text) <= EXPOSITION_BYTES
    assert MADE_UP not in text.lower()
    assert MADE_UP not in shown.text.lower()


@pytest.mark.parametrize("label", ["version", "track", "pod", "job", "instance", "namespace"])
async def test_no_label_is_one_that_the_scrape_adds(observed: Serve, label: str) -> None:
    async with observed(version="1.2.3", track="canary", pod="pod-7", revision="abc") as service:
        shown = await scrape(service)

    assert [sample for sample in shown.samples if label in sample.labels] == []
    assert shown.value("kv_build_info", revision="abc") == 1
