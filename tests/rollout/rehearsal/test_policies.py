"""Policies in a rehearsal: who calls is known at the pods' sidecars, by mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml

from rollout.envoy.proxy import Proxy
from rollout.rehearsal.errors import KeysUnused, NoIngress
from tests.rollout.rehearsal.derived import OPTIONS, rehearsed, status
from tests.support.certificates import Issuer

pytestmark = pytest.mark.asyncio

URI: Final = "https://issuer.example.com/keys"


def policy(spec: Mapping[str, Any], kind: str = "AuthorizationPolicy", name: str = "a") -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "shop"},
            "spec": spec,
        }
    )


def allowed_from(**source: list[str]) -> str:
    return policy({"rules": [{"from": [{"source": source}]}]})


def with_tls(mode: str) -> Mapping[str, str]:
    """Return the field of the two releases' DestinationRule that sets the mode of TLS."""
    return {"  host: reviews\n": f"  host: reviews\n  trafficPolicy: {{tls: {{mode: {mode}}}}}\n"}


GATEWAY: Final = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"


async def test_a_pod_knows_the_gateway_by_its_certificate(tmp_path: Path) -> None:
    async with rehearsed(tmp_path, allowed_from(principals=[GATEWAY])) as running:
        assert await status(running) == 200
        entrance = running.entrances[0]
        async with (
            aiohttp.ClientSession() as client,
            client.get(entrance.url, headers=entrance.headers) as response,
        ):
            got = (await response.json())["headers"]

    assert f"URI=spiffe://{GATEWAY}" in got["x-forwarded-client-cert"]


async def test_another_caller_than_the_allowed_one_gets_403(tmp_path: Path) -> None:
    async with rehearsed(tmp_path, allowed_from(principals=["cluster.local/ns/a/sa/b"])) as running:
        assert await status(running) == 403


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (Proxy.sidecar("shop", {}, "cart"), 200),
        (Proxy.sidecar("shop", {}, "other"), 403),
        (Proxy.sidecar("tools", {}, "cart"), 403),
        (Proxy.sidecar("trusted"), 200),
    ],
    ids=["the account", "another account", "of another namespace", "the namespace"],
)
async def test_callers_inside_the_mesh_have_an_account(
    tmp_path: Path, caller: Proxy, expected: int
) -> None:
    rules = [
        {"from": [{"source": {"serviceAccounts": ["shop/cart"]}}]},
        {"from": [{"source": {"namespaces": ["trusted"]}}]},
    ]
    options = replace(OPTIONS, caller=caller)

    async with rehearsed(
        tmp_path, policy({"rules": rules}), options=options, inside=True
    ) as running:
        assert await status(running) == expected


async def test_operations_are_of_the_pods_own_port(tmp_path: Path) -> None:
    def operation(port: str, path: str) -> Mapping[str, Any]:
        return {"to": [{"operation": {"ports": [port], "paths": [path], "methods": ["GET"]}}]}

    rules = [operation("9080", "/reviews/*"), operation("9081", "/other/*")]

    async with rehearsed(tmp_path, policy({"rules": rules})) as running:
        assert await status(running, "/reviews/1") == 200
        assert await status(running, "/reviews/1", "POST") == 403
        assert await status(running, "/other/1") == 403


@pytest.mark.parametrize(("step", "expected"), [(0, 200), (-1, 403)])
async def test_a_policy_selects_one_of_the_releases(
    tmp_path: Path, step: int, expected: int
) -> None:
    spec = {"selector": {"matchLabels": {"version": "v2"}}}

    async with rehearsed(tmp_path, policy(spec), step=step) as running:
        assert await status(running) == expected


async def test_tokens_are_verified_with_keys_of_a_file(tmp_path: Path) -> None:
    issuer = Issuer.named("https://issuer.example.com")
    texts = [
        policy({"jwtRules": [{"issuer": issuer.name, "jwksUri": URI}]}, "RequestAuthentication"),
        policy(
            {
                "action": "DENY",
                "rules": [{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}],
            }
        ),
    ]
    options = replace(
        OPTIONS, keys={URI: issuer.jwks}, headers={"Authorization": f"Bearer {issuer.token()}"}
    )

    async with rehearsed(tmp_path, *texts, options=options) as running:
        assert await status(running) == 200
        assert await status(running, Authorization="Bearer nonsense") == 401
        assert await status(running, Authorization="") == 403
        assert not [each for each in running.notes if "jwksUri" in each]


async def test_without_the_keys_of_an_issuer_its_tokens_are_refused(tmp_path: Path) -> None:
    issuer = Issuer.named("https://issuer.example.com")
    text = policy({"jwtRules": [{"issuer": issuer.name, "jwksUri": URI}]}, "RequestAuthentication")

    async with rehearsed(tmp_path, text) as running:
        assert await status(running) == 200
        assert await status(running, Authorization=f"Bearer {issuer.token()}") == 401
        [note] = [each for each in running.notes if "jwksUri" in each]

    assert f"--jwks {URI}=FILE" in note


async def test_keys_that_nobody_asks_for_are_named(tmp_path: Path) -> None:
    options = replace(OPTIONS, keys={"https://x": "{}"})

    with pytest.raises(KeysUnused, match="https://x"):
        async with rehearsed(tmp_path, options=options):
            pass


@pytest.mark.parametrize(
    ("peer", "tls", "expected"),
    [
        ("STRICT", "ISTIO_MUTUAL", 200),
        ("STRICT", "DISABLE", 503),
        ("PERMISSIVE", "DISABLE", 200),
    ],
)
async def test_a_pod_that_demands_mutual_tls_refuses_plaintext(
    tmp_path: Path, peer: str, tls: str, expected: int
) -> None:
    spec = {"selector": {"matchLabels": {"app": "reviews"}}, "mtls": {"mode": peer}}
    text = policy(spec, "PeerAuthentication")

    async with rehearsed(tmp_path, text, changed=with_tls(tls)) as running:
        assert await status(running) == expected


async def test_a_caller_without_mutual_tls_has_no_name(tmp_path: Path) -> None:
    spec = {"mtls": {"mode": "DISABLE"}}
    texts = [policy(spec, "PeerAuthentication"), allowed_from(principals=["*"])]

    async with rehearsed(tmp_path, *texts) as running:
        assert await status(running) == 403


async def test_callers_inside_the_mesh_need_routes_for_it(tmp_path: Path) -> None:
    with pytest.raises(NoIngress, match="not bound to mesh"):
        async with rehearsed(tmp_path, options=replace(OPTIONS, caller=Proxy.sidecar("shop"))):
            pass


async def test_the_requests_at_sidecars_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without its deadline, the source would wait for ever for entries of other requests.
    monkeypatch.setattr("rollout.rehearsal.source._LOG_LAG_SECONDS", None)
    async with rehearsed(tmp_path, allowed_from(principals=[GATEWAY])) as running:
        for _ in range(3):
            await status(running)
        async with asyncio.timeout(30):
            snapshot = await running.source.read()

        assert sum(each.requests for each in snapshot.counts.values()) == 3


async def test_without_policies_there_are_no_sidecars(tmp_path: Path) -> None:
    async with rehearsed(tmp_path) as running:
        assert await status(running) == 200
        assert not [each for each in running.notes if "sidecars" in each]
