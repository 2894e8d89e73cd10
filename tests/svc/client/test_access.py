"""Tokens and TLS: who is let in, and that no text shows the token."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from svc.client import AsyncClient, Client, Error, Invalid, NotAllowed, Unauthenticated, Unavailable
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess
from tests.support.tokens import text_of, write_tokens

TOKEN = text_of("reader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a CA, certificates of the service and of a client, and tokens."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("localhost", "client"):
        found = authority.issue_cert(name)
        found.private_key_pem.write_to_path(folder / f"{name}.key")
        (folder / f"{name}.pem").write_bytes(b"".join(b.bytes() for b in found.cert_chain_pems))
    write_tokens(folder / "tokens", {"reader": "read", "writer": "read,write"})
    return folder


@pytest.fixture(scope="module")
def base(folder: Path, shared_redis: RedisServer) -> Iterator[str]:
    """The URL of a service that asks for certificates and tokens. It may still start."""
    service = ServiceProcess(
        {
            "KV_STORE_URL": shared_redis.url,
            "KV_TOKENS_FILE": str(folder / "tokens"),
            "KV_TLS_CERT_FILE": str(folder / "localhost.pem"),
            "KV_TLS_KEY_FILE": str(folder / "localhost.key"),
            "KV_TLS_CLIENT_CA_FILE": str(folder / "ca.pem"),
        }
    )
    try:
        service.start(wait=False)
        yield f"https://localhost:{service.port}"
    finally:
        service.stop()


def options(folder: Path) -> dict[str, Path]:
    return {
        "ca_file": folder / "ca.pem",
        "cert_file": folder / "client.pem",
        "key_file": folder / "client.key",
    }


def test_a_token_and_a_certificate_let_the_client_in(
    base: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYKV_URL", f"{base}/")
    monkeypatch.setenv("TALLYKV_TOKEN", text_of("writer"))

    # It starts before the service listens, and tries until it does.
    with Client(**options(folder), deadline=120) as kv:  # type: ignore[arg-type]
        kv.put("k", "v")
    with Client(token=TOKEN, **options(folder), deadline=120) as kv:  # type: ignore[arg-type]
        assert kv.get("k").text == "v"
        with pytest.raises(NotAllowed) as caught:
            kv.put("k", "w")
        assert not isinstance(caught.value, Unauthenticated)
    with (
        Client(token="", **options(folder), deadline=120) as kv,  # type: ignore[arg-type]
        pytest.raises(Unauthenticated),
    ):
        kv.get("k")


def test_a_certificate_that_is_not_trusted_is_no_reason_to_try_again(
    base: str, folder: Path
) -> None:
    with Client(base, token=TOKEN, **options(folder), deadline=120) as kv:  # type: ignore[arg-type]
        kv.find("k")  # now it has started
    with (
        Client(base, token=TOKEN, deadline=120) as kv,
        pytest.raises(Unavailable, match=r"(?i)certificate") as caught,
    ):
        kv.get("k")

    assert caught.value.tries == 1
    assert not caught.value.retryable


async def test_no_text_shows_the_token(folder: Path) -> None:
    shown = []
    for url in ("http://localhost:1", "https://localhost:1"):
        async with AsyncClient(url, token=TOKEN, deadline=0.1) as kv:
            with pytest.raises(Error, match="localhost:1 ") as caught:
                await kv.increment("n")
            error = caught.value
            lines = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown += [*lines.format(), repr(error), str(error), repr(vars(error))]
            shown += [repr(kv), repr(vars(kv)), repr(kv.within(1))]

    assert not any(TOKEN in text for text in shown)


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("localhost:8080", None),
        ("ftp://localhost", None),
        (f"http://user:{TOKEN}@localhost", None),
        (f"http://localhost?token={TOKEN}", None),
        ("http://localhost", f"{TOKEN}\n"),
    ],
)
def test_an_address_or_a_token_that_can_not_be_is_refused_without_showing_it(
    url: str, token: str | None
) -> None:
    with pytest.raises(Invalid) as caught:
        Client(url, token=token)

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("host", ["a..b", ".", f"{'a' * 64}.example"])
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    with pytest.raises(Invalid, match="host's name"):
        Client(f"http://{host}:8080")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://localhost:1080"),
        ("ALL_PROXY", "ftp://u:hunter2@localhost"),
        ("HTTPS_PROXY", "http://u:hunter2"),
        ("SSL_CERT_FILE", "/nowhere"),
    ],
)
def test_an_environment_that_can_not_be_used_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value)

    with pytest.raises(Invalid, match=name) as caught:
        Client("https://localhost:8080")

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_prefix_that_no_url_holds_is_refused() -> None:
    with Client("http://localhost:1") as kv, pytest.raises(Invalid, match="URL too long"):
        next(kv.entries("a" * 70_000))
