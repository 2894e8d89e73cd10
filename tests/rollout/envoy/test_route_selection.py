"""Which route the real Envoy selects: each route responds with a status of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from rollout.envoy.configuration import LocalAddresses
from tests.rollout.envoy.envoy_binary import running_envoy
from tests.rollout.envoy.example_mesh import (
    EDGE_GATEWAY,
    KV_MANIFESTS,
    documents,
    read_objects,
    virtual_service,
)
from tests.support.plain_http import PlainAnswer, fetch

RULES: Final = r"""
- match: [{headers: {cookie: {regex: '^(.*?;\s*)?(variant=b)(;.*)?$'}}}]
  directResponse: {status: 210}
- {match: [{uri: {exact: /exact/}}], directResponse: {status: 211}}
- {match: [{uri: {prefix: /prefix}}], directResponse: {status: 212}}
- {match: [{uri: {prefix: /any}, ignoreUriCase: true}], directResponse: {status: 213}}
- {match: [{uri: {regex: '/v\d/x'}, method: {regex: 'GET|PUT'}}], directResponse: {status: 214}}
- {match: [{queryParams: {a: {exact: '1'}}}], directResponse: {status: 215}}
- match: [{uri: {exact: /without}, withoutHeaders: {x-a: {exact: '1'}}}]
  directResponse: {status: 216}
- {match: [{uri: {exact: /present}, headers: {x-a: {}}}], directResponse: {status: 217}}
- {match: [{uri: {exact: /absent}, withoutHeaders: {x-a: {}}}], directResponse: {status: 218}}
- {match: [{uri: {exact: /where}, gateways: [mesh]}], directResponse: {status: 219}}
- {match: [{uri: {exact: /where}, gateways: [edge]}], directResponse: {status: 220}}
- {match: [{uri: {exact: /nobody}}], route: [{destination: {host: kv, subset: nobody}}]}
- {match: [{uri: {exact: /unready}}], route: [{destination: {host: kv, subset: stable}}]}
- match: [{uri: {exact: /aborted}}]
  fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
  route: [{destination: {host: kv}}]
- match: [{uri: {exact: /spared}}]
  fault: {abort: {httpStatus: 418}}
  route: [{destination: {host: kv}}]
- {directResponse: {status: 299}}
- {match: [{uri: {exact: /late}}], directResponse: {status: 298}}
"""


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAddresses]:
    text = virtual_service(RULES, "[kv.example.com, kv]")
    objects = read_objects(documents(KV_MANIFESTS, EDGE_GATEWAY, text))
    with running_envoy(objects, tmp_path_factory.mktemp("envoy")) as local:
        yield local


def ask(
    local: LocalAddresses,
    path: str,
    method: str = "GET",
    host: str = "kv.example.com",
    **headers: str,
) -> PlainAnswer:
    """Send a request to the Gateway, or to the mesh listener if the host is a Service's name."""
    address = local.listeners[80] if "." in host else local.mesh
    assert address is not None
    url = f"http://{address.host}:{address.port}{path}"
    return fetch(url, method, None, Host=host, **headers)


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        ("variant=b", 210),
        ("a=1; variant=b; c=2", 210),
        ("a=1;variant=b", 210),
        ("variant=bb", 299),
        ("xvariant=b", 299),
        ("variant=a", 299),
        ("x=variant=b", 299),
        ("Variant=b", 299),
        ("variant =b", 299),
        ("a=1, variant=b", 299),
    ],
)
def test_a_cookie_matches_as_a_whole(envoy: LocalAddresses, cookie: str, status: int) -> None:
    assert ask(envoy, "/", Cookie=cookie).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/exact/", 211),
        ("/exact/?a=2", 211),
        ("/exact", 299),
        ("/prefix", 212),
        ("/prefixed/x", 212),
        ("/pre", 299),
        ("/ANY/x", 213),
        ("/v1/x", 214),
        ("/v1/xy", 299),
        ("/v1/x?y", 214),
        ("/?a=1", 215),
        ("/?a=11", 299),
        ("/a/../prefix", 212),
        ("/late", 299),
    ],
)
def test_paths_match_by_their_kind(envoy: LocalAddresses, path: str, status: int) -> None:
    assert ask(envoy, path).status == status


def test_methods_are_matched(envoy: LocalAddresses) -> None:
    assert [ask(envoy, "/v1/x", each).status for each in ("GET", "PUT", "POST")] == [214, 214, 299]


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/without", None, 216),
        ("/without", "2", 216),
        ("/without", "1", 299),
        ("/present", None, 299),
        ("/present", "", 217),
        ("/absent", None, 218),
        ("/absent", "1", 299),
    ],
)
def test_headers_match_by_presence_and_value(
    envoy: LocalAddresses, path: str, header: str | None, status: int
) -> None:
    headers = {} if header is None else {"x_a": header}

    assert ask(envoy, path, **headers).status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("kv.example.com", 220),
        ("kv.example.com:8443", 220),
        ("KV.example.com", 220),
        ("kv", 219),
        ("kv:8080", 219),
        ("kv:81", 404),
    ],
)
def test_a_host_leads_to_its_gateway(envoy: LocalAddresses, host: str, status: int) -> None:
    assert ask(envoy, "/where", host=host).status == status


def test_a_missing_cluster_and_one_without_pods_fail_differently(envoy: LocalAddresses) -> None:
    nobody, unready = ask(envoy, "/nobody"), ask(envoy, "/unready")

    assert (nobody.status, nobody.body) == (503, b"")
    assert (unready.status, unready.body) == (503, b"no healthy upstream")


def test_a_fault_without_a_percentage_affects_no_request(envoy: LocalAddresses) -> None:
    assert ask(envoy, "/aborted").status == 418
    assert ask(envoy, "/spared").status == 503
