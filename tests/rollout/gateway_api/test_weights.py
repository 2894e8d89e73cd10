"""The real Envoy splits requests by the weights of backends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.rollout.gateway_api.conformance_mesh import conformance_mesh
from tests.rollout.gateway_api.echo_backends import ask

ROUTE: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: same, namespace: infra}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: weighted, namespace: infra}
spec:
  parentRefs: [{name: same}, {group: "", kind: Service, name: v1}]
  rules:
    - backendRefs:
        - {name: v1, port: 8080, weight: 70}
        - {name: v2, port: 8080, weight: 30}
        - {name: v3, port: 8080, weight: 0}
"""
REQUESTS: Final = 400


@pytest.mark.parametrize("inside", [False, True], ids=["gateway", "mesh"])
def test_requests_are_split_by_weight(tmp_path: Path, inside: bool) -> None:
    with conformance_mesh(list(yaml.safe_load_all(ROUTE)), tmp_path) as (mesh, _):
        address = mesh.inside("infra") if inside else mesh.gateway("infra/same")
        host = "v1" if inside else "example.com"
        found = Counter(ask(address, "/", host).seen["backend"] for _ in range(REQUESTS))

    # More than five standard deviations: 280 ± 9.
    assert abs(found["infra/v1"] - 280) < 50, found
    assert found.keys() == {"infra/v1", "infra/v2"}
