"""Who sent a request, and how much: the address, the user agent, the bytes of both bodies."""

from __future__ import annotations

import gzip
from ipaddress import ip_network
from typing import Final

import pytest

from svc.telemetry.clients import MOST_AGENT_CHARACTERS, MOST_HOPS, client_address, shown_agent
from tests.support.answers import ask, put
from tests.support.instrumented_service import Serve, logged_lines
from tests.support.raw_http import exchange

PROXIES: Final = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        # Not a proxy of ours: what it says is its own business.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.1.1.1", "203.0.113.5, 198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", "203.0.113.5,, 198.51.100.7 , ", "198.51.100.7"),
        ("10.1.1.1", "10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "198.51.100.7:49152", "198.51.100.7"),
        ("fd00::1", "2001:DB8::5", "2001:db8::5"),
        ("10.1.1.1", "[2001:db8::5]:49152", "2001:db8::5"),
        # A socket of both families shows IPv4 peers so.
        ("::ffff:10.1.1.1", "::ffff:198.51.100.7", "198.51.100.7"),
        # What is no address, or none of this network, ends the chain.
        ("10.1.1.1", "198.51.100.7, junk, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "198.51.100.7, unknown", "10.1.1.1"),
        ("10.1.1.1", "fe80::1%\x1b[31m", "10.1.1.1"),
        ("10.1.1.1", "1.2.3, 300.1.1.1, 198.51.100.007", "10.1.1.1"),
        ("10.1.1.1", ",".join(["198.51.100.7"] + ["10.2.2.2"] * MOST_HOPS), "10.2.2.2"),
    ],
)
def test_a_client_is_the_last_address_that_is_not_ours(
    peer: str, forwarded: str, client: str
) -> None:
    assert str(client_address(peer, forwarded, PROXIES)) == client


def test_a_peer_on_a_unix_socket_has_no_address() -> None:
    assert client_address("", "198.51.100.7", PROXIES) is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("curl/8.5.0", "curl/8.5.0"),
        ("Größe \u20ac", "Größe \u20ac"),
        ("a\tb", r"a\tb"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj", r"\u202egpj"),
        ("\udcff", r"\udcff"),
        ("x" * 1000, "x" * MOST_AGENT_CHARACTERS),
    ],
)
def test_a_user_agent_is_shown_bounded_and_harmless(sent: str, shown: str) -> None:
    assert shown_agent(sent) == shown


@pytest.mark.parametrize(("trusted", "client"), [(True, "192.0.2.2"), (False, "127.0.0.1")])
async def test_forwarded_addresses_count_only_from_a_trusted_proxy(
    observed: Serve, trusted: bool, client: str
) -> None:
    proxies = (ip_network("127.0.0.0/8"),) if trusted else ()
    with logged_lines() as lines:
        async with observed(access_log="all", trusted_proxies=proxies) as service:
            headers = {"X-Forwarded-For": "192.0.2.1, 192.0.2.2"}
            await ask(service, "GET", "/v1/limits", headers=headers)

    (line,) = lines.with_body("request")
    assert line["client.address"] == client


async def test_the_sizes_are_those_of_the_bodies_as_they_were_sent(observed: Serve) -> None:
    value = b"v" * 5000
    packed = gzip.compress(value)
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            await put(service, "k", value)
            await ask(service, "PUT", "/v1/kv/k", data=packed, headers={"Content-Encoding": "gzip"})
            await ask(service, "HEAD", "/v1/kv/k")
            await ask(service, "GET", "/v1/kv/k")
            missing = await ask(service, "GET", "/v1/kv/none")

    written, repacked, head, read, none = (
        (line["http.request.body.size"], line["http.response.body.size"])
        for line in lines.with_body("request")
    )
    assert written[0] == 5000
    assert repacked[0] == len(packed)
    assert head == (0, 0)
    assert read == (0, 5000)
    assert none == (0, len(missing.body))


async def test_a_line_has_no_agent_where_none_was_sent_or_a_token_was(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            for more in ("", "User-Agent: tkv_secret\r\n"):
                request = f"GET /v1/limits HTTP/1.1\r\nHost: t\r\n{more}\r\n"
                assert (await exchange(service.port, request)).status == 200

    told = lines.with_body("request")
    assert len(told) == 2
    assert not any("user_agent.original" in line for line in told)
