"""HTTPS servers of one port are told apart by the name in the TLS handshake (SNI)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
import yaml

from rollout.plan.derived_plan import load_derived_plan
from rollout.rehearsal.entrance import Entrance
from rollout.rehearsal.rehearsal import Rehearsal, RehearsalOptions, rehearsing
from tests.rollout.plan.manifests import GATEWAY, routes, subset, with_subsets, write
from tests.rollout.rehearsal.plans import need_programs

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER: Final = (
    '{{port: {{number: 443, name: {name}, protocol: HTTPS}}, hosts: ["{host}"],'
    " tls: {{mode: {mode}, credentialName: {name}}}}}"
)
EDGE: Final = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{servers}]
"""
SHOP, ADMIN, LATE = "shop.example.com", "admin.example.com", "late.example.com"
FORWARDED: Final = "forwarded.example.com"
#: The route of a host that only answers.
ANSWER: Final = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec: {{hosts: [{host}], gateways: [{gateway}], http: [{{directResponse: {{status: {status}}}}}]}}
"""
#: Routes of connections: by the name in the handshake, and of a port.
CONNECTIONS: Final = f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: connections, namespace: shop}}
spec:
  hosts: [{FORWARDED}]
  gateways: [edge]
  tls: [{{match: [{{sniHosts: [{FORWARDED}]}}], route: [{{destination: {{host: reviews}}}}]}}]
  tcp: [{{match: [{{port: 9000}}], route: [{{destination: {{host: reviews}}}}]}}]
"""


def mesh() -> tuple[list[str], list[str]]:
    """Return manifests, and others that lint refuses beside them."""
    servers = [
        SERVER.format(name="shop", host=SHOP, mode="SIMPLE"),
        SERVER.format(name="admin", host=ADMIN, mode="MUTUAL"),
        SERVER.format(name="forwarded", host=FORWARDED, mode="PASSTHROUGH"),
        '{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}',
    ]
    late = [
        # Another Gateway has the first of its hosts already.
        SERVER.format(name="again", host=ADMIN, mode="SIMPLE"),
        SERVER.format(name="late", host=LATE, mode="SIMPLE"),
    ]
    texts = with_subsets(routes(subset("v1", 1), subset("v2", 0), host=SHOP))
    first = EDGE.format(name="edge", servers=", ".join(servers))
    return [first if each == GATEWAY else each for each in texts], [
        EDGE.format(name="second", servers=", ".join(late)),
        ANSWER.format(name="admin", host=ADMIN, gateway="edge", status=201),
        ANSWER.format(name="again", host=ADMIN, gateway="second", status=202),
        ANSWER.format(name="late", host=LATE, gateway="second", status=203),
        CONNECTIONS,
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rehearsal]:
    need_programs()
    texts, more = mesh()
    directory = write(tmp_path_factory.mktemp("tls") / "mesh", texts)
    loaded = load_derived_plan(directory, stable="v1", canary="v2")
    found = [*(each.document for each in loaded.resources), *map(yaml.safe_load, more)]
    options = RehearsalOptions(rate=0, prometheus=False)
    async with rehearsing(found, loaded.plan, options) as rehearsal:
        yield rehearsal


def entrance(rehearsal: Rehearsal, host: str) -> Entrance:
    """Return the entrance with another host."""
    return replace(rehearsal.entrances[0], host=host)


async def status(entrance: Entrance) -> int:
    async with (
        aiohttp.ClientSession() as client,
        client.get(entrance.url, headers=entrance.headers, **entrance.tls) as response,
    ):
        return response.status


def without_certificate(entrance: Entrance) -> Entrance:
    assert entrance.trust is not None
    context = ssl.create_default_context(cafile=entrance.trust.file)
    return replace(entrance, trust=entrance.trust._replace(context=context))


@pytest.mark.parametrize(("host", "expected"), [(SHOP, 200), (ADMIN, 201), (LATE, 203)])
async def test_each_host_has_its_own_routes(running: Rehearsal, host: str, expected: int) -> None:
    assert await status(entrance(running, host)) == expected


async def test_a_host_that_no_server_has_gets_no_connection(running: Rehearsal) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(entrance(running, "other.example.com"))


async def test_a_request_for_another_server_than_the_handshakes_is_not_found(
    running: Rehearsal,
) -> None:
    found = entrance(running, SHOP)
    wrong = {**found.headers, "Host": LATE}

    async with (
        aiohttp.ClientSession() as client,
        client.get(found.url, headers=wrong, **found.tls) as response,
    ):
        assert response.status == 404


async def test_a_certificate_is_valid_only_for_its_servers_hosts(running: Rehearsal) -> None:
    trusted = entrance(running, SHOP).trust
    assert trusted is not None
    names = [each["subjectAltName"] for each in trusted.context.get_ca_certs()]

    assert sorted(names) == [(("DNS", each),) for each in sorted((SHOP, ADMIN, LATE))]


async def test_a_client_without_a_certificate_is_refused_where_one_is_demanded(
    running: Rehearsal,
) -> None:
    assert await status(without_certificate(entrance(running, SHOP))) == 200
    with pytest.raises(aiohttp.ClientError):
        await status(without_certificate(entrance(running, ADMIN)))


async def test_connections_that_are_forwarded_are_named(running: Rehearsal) -> None:
    found = [each for each in running.notes if "Gateway shop/edge" in each]

    assert [each.split(":")[1].split()[-1] for each in found] == [
        "spec.servers[0].tls",
        "spec.servers[1].tls",
        "spec.servers[2].tls",
        "spec.servers[3].port.protocol",
    ]
    # They reach a pod, which speaks plaintext.
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(entrance(running, FORWARDED))
    stats = await running.admin.stats(r"^cluster\.outbound_9080_reviews_shop\.upstream_cx_total$")
    assert sum(map(int, stats.values())) == 1


async def test_the_command_for_curl_shows_the_clients_certificate(running: Rehearsal) -> None:
    trust = running.entrances[0].trust
    assert trust is not None
    assert trust.client is not None

    assert f"--cert {trust.client.chain} --key {trust.client.key}" in running.entrances[0].curl
