"""Manifests that Istio accepts and that don't do what they seem to: each is named."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.rollout.lint.cases import CASES, needs_cases
from tests.rollout.lint.lint_runner import CLUSTER, lint

#: The finding that names each trap.
NAMED: Final = {
    "argo-route-name-missing": "argo-routes Rollout shop/kv",
    "argo-two-routes-none-named": "argo-routes Rollout shop/kv",
    "argo-vs-in-other-namespace": "weights-two-owners VirtualService edge/kv-routes",
    "dr-in-a-third-namespace": "destination-rule-out-of-reach VirtualService shop/kv",
    "flagger-and-own-httproute": "weights-two-owners HTTPRoute shop/kv",
    "gateway-host-reserved-for-namespace": "gateway-host-mismatch VirtualService shop/kv",
    "gateway-tls-without-mode": "gateway-tls-mode Gateway shop/edge spec.servers[0].tls.mode",
    "gateways-of-two-selectors": "host-at-other-proxies VirtualService shop/kv",
    "http-routes-for-a-tcp-port": "http-routes-on-tcp VirtualService shop/kv",
    "mesh-weights-not-at-ingress": (
        "weights-bypassed VirtualService shop/kv-edge spec.http[0].route[0].destination"
    ),
    "strict-and-disable": "mtls-conflict DestinationRule shop/kv spec.trafficPolicy.tls.mode",
}


@needs_cases
@pytest.mark.parametrize("name", NAMED)
def test_a_trap_is_named(name: str) -> None:
    linted = lint(CASES / "mesh" / "traps" / name)

    assert [each for each in linted.findings_of() if each.startswith(NAMED[name])]


def test_a_short_host_of_another_namespace_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "route.yaml"
    path.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: kv, namespace: edge}\n"
        "spec: {hosts: [kv.example.com], gateways: [shop/kv],"
        " http: [{route: [{destination: {host: kv}}], retries: {attempts: 0}}]}\n"
    )

    [found] = [each for each in lint("--with", CLUSTER, path).findings if "host-" in each["rule"]]

    assert found["rule"] == "host-not-in-input"
    assert "write kv.shop.svc.cluster.local" in found["remedy"]
