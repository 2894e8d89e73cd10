"""Tokens: what is none gets 401, and their file may change or break at any time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from svc.door.tokens import TokensInvalid, parse_tokens
from svc.settings import Settings
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.tokens import bearer, line_of, text_of, write_tokens
from tests.support.waiting import eventually

ALL = "read,write,delete,admin"
HASH = "sha256:" + "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lines = {
        "good": ALL,
        "plain": "read,write,delete",
        "old": f"{ALL} expires=2001-01-01T00:00:00Z",
        "later": f"{ALL} expires=2999-01-01T00:00:00+02:00",
    }
    return write_tokens(tmp_path / "tokens", lines)


@pytest.fixture
async def service(redis_server: RedisServer, path: Path) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, tokens_file=path)
    async with running_service(settings) as running:
        yield running


async def status_of(service: Service, headers: dict[str, str], path: str = "/v1/limits") -> int:
    async with service.get(path, headers=headers) as answer:
        return int(answer.status)


REFUSED: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({"Authorization": ""}, True),
    ({"Authorization": "Bearer"}, True),
    ({"Authorization": "Bearer "}, True),
    ({"Authorization": f"Basic {text_of('good')}"}, True),
    ({"Authorization": text_of("good")}, True),
    ({"Authorization": f"Bearer {text_of('good')}0"}, True),
    ({"Authorization": f"Bearer {text_of('good')[:-1]}"}, True),
    ({"Authorization": f"Bearer {text_of('good').upper()}"}, True),
    ({"Authorization": f"Bearer  {text_of('good')}"}, True),
    ({"Authorization": f"Bearer {text_of('good').replace('good', 'plain')}"}, True),
    ({"Authorization": f"Bearer {text_of('nobody')}"}, True),
    ({"Authorization": f"Bearer {text_of('old')}"}, True),
    ({"Authorization": "Bearer \udcff\udcfe"}, True),
    ({"X-Api-Key": text_of("good")}, False),
]


@pytest.mark.parametrize(("headers", "was_sent"), REFUSED)
async def test_what_is_no_token_gets_401_everywhere(
    service: Service, headers: dict[str, str], was_sent: bool
) -> None:
    if any(not text.isascii() for text in headers.values()):
        headers = dict.fromkeys(headers, "Bearer ÿþ")
    for method, path in (
        *(("GET", p) for p in ("/v1/limits", "/v1/kv", "/", "/x", "/v1/none", "/docs/x/y")),
        *(("PUT", p) for p in ("/v1/kv/k", "/x")),
        *(("POST", p) for p in ("/v1/batch", "/v1/counters/c/increments")),
        *(("OPTIONS", p) for p in ("/v1/kv/k",)),
    ):
        async with service.request(method, path, headers=headers) as answer:
            problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (401, "unauthenticated"), (method, path)
        assert problem["applied"] == "no"
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer realm="tallykv"')
        assert ("invalid_token" in challenge) is was_sent


@pytest.mark.parametrize("name", ["good", "plain", "later"])
async def test_a_token_lets_its_holder_in(service: Service, name: str) -> None:
    assert await status_of(service, bearer(name)) == 200
    assert await status_of(service, {"Authorization": f"bearer {text_of(name)}"}) == 200


async def test_the_next_request_on_the_connection_is_not_its_holders(service: Service) -> None:
    """One task serves both, and so do its context variables."""
    port = service.port
    request = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n"
    token = f"Authorization: {bearer('good')['Authorization']}\r\n"
    async with raw_connection(port) as connection:
        await connection.send(
            request.format("/v1/status", token),
            request.format("/v1/openapi.json", ""),  # needs none
            request.format("/v1/status", ""),
            request.format("/v1/status", f"Authorization: {bearer('plain')['Authorization']}\r\n"),
        )
        holder, public, nobody, other = [await connection.answer() for _ in range(4)]

    assert (public.status, nobody.status) == (200, 401)
    scopes = [answer.json["caller"]["scopes"] for answer in (holder, other)]
    assert scopes == [ALL.split(","), ["read", "write", "delete"]]


async def test_a_token_in_the_query_is_none(service: Service) -> None:
    assert await status_of(service, {}, f"/v1/kv?access_token={text_of('good')}") == 401


async def test_a_token_does_not_outlive_its_expiry(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    soon = time.time() + 1.5
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon))
    path = write_tokens(tmp_path / "tokens", {"brief": f"read expires={ends}"})
    async with running_service(Settings(store_url=redis_server.url, tokens_file=path)) as service:

        async def ended() -> bool:
            return await status_of(service, bearer("brief")) == 401

        await eventually(ended, what="the token's end")


async def test_the_admin_port_shows_the_state_to_admins(service: Service) -> None:
    async def asked(path: str, headers: dict[str, str]) -> int:
        async with service.client.get(service.admin_base + path, headers=headers) as answer:
            return int(answer.status)

    for path in ("/livez", "/readyz", "/metrics", "/version"):
        assert await asked(path, {}) in {200, 503}
    assert await asked("/statusz", {}) == 401
    assert await asked("/statusz", bearer("plain")) == 403
    assert await asked("/statusz", bearer("good")) == 200


async def statusz(service: Service, name: str = "good") -> Any:
    async with service.client.get(service.admin_base + "/statusz", headers=bearer(name)) as answer:
        return await answer.json()


async def sample(service: Service, name: str) -> float:
    async with service.client.get(service.admin_base + "/metrics") as answer:
        text = await answer.text()
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")
    )


async def test_a_secret_that_is_swapped_by_a_link_is_read_again(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    # As the kubelet does it: tokens -> ..data/tokens, ..data -> ..2030_01_01, renamed over.
    for number, name in enumerate(("first", "second")):
        (tmp_path / f"..{number}").mkdir()
        write_tokens(tmp_path / f"..{number}" / "tokens", {"good": ALL, name: "read"})
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    settings = Settings(store_url=redis_server.url, tokens_file=tmp_path / "tokens")
    async with running_service(settings) as service:
        assert await status_of(service, bearer("first")) == 200
        (tmp_path / "new").symlink_to("..1")
        (tmp_path / "new").rename(tmp_path / "..data")
        answers = []

        async def read() -> bool:
            answers.append(await status_of(service, bearer("good")))
            return await status_of(service, bearer("second")) == 200

        await eventually(read, what="the new tokens")
        assert await status_of(service, bearer("first")) == 401
        assert set(answers) == {200}, "no request is lost"


def spoil(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.write_text(text + "\n" + line_of("good", "rad") + "\n")


@pytest.mark.parametrize("broken", ["", "good nothash read", None])
async def test_a_broken_file_keeps_the_tokens_and_says_so(
    service: Service, path: Path, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    spoil(path, broken)

    async def noticed() -> bool:
        return await sample(service, "kv_tokens_file_broken") == 1

    await eventually(noticed, what="the broken file")
    assert await status_of(service, bearer("good")) == 200
    shown = (await statusz(service))["tokens"]
    assert shown["count"] == 4
    assert ("line" in shown["error"]) is (broken is not None)
    assert await sample(service, 'kv_token_reloads_total{result="failed"}') == 1
    assert [r for r in caplog.records if "tokens file is broken" in r.getMessage()]

    write_tokens(path, {"good": ALL})

    async def mended() -> bool:
        return await sample(service, "kv_tokens_file_broken") == 0

    await eventually(mended, what="the mended file")
    shown = (await statusz(service))["tokens"]
    assert (shown["count"], shown["error"]) == (1, None)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("a", "id"),
        (f"a_b {HASH} read", "id"),
        ("a sha256:00 read", "sha256"),
        (f"a {HASH.upper()} read", "sha256"),
        (f"a {HASH} read,all", "scopes"),
        (f"a {HASH} read expires=tomorrow", "expires"),
        (f"a {HASH} read keys=", "prefix"),
        (f"a {HASH} read keys=a,,b", "prefix"),
        (f"a {HASH} read key=a", "option"),
        (f"a {HASH} read keys=a keys=b", "option"),
        (f"a {HASH} read\na {HASH} read", "line 2: another"),
        (f"a {HASH} read keys=%FF", "prefix"),
    ],
)
def test_a_line_that_is_none_is_named_without_its_text(line: str, word: str) -> None:
    with pytest.raises(TokensInvalid) as refused:
        parse_tokens(line)

    assert word in str(refused.value)
    assert "0000" not in str(refused.value)


def test_a_prefix_of_one_kind_leaves_nothing_of_the_other() -> None:
    tokens = parse_tokens(f"# a comment\n\na {HASH} read keys=%C3%A9/,b%2C/\nb {HASH} read")

    assert (tokens["a"].grant.keys, tokens["a"].grant.counters) == (("é/", "b,/"), ())
    assert (tokens["b"].grant.keys, tokens["b"].grant.counters) == (("",), ("",))
