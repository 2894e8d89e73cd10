"""Whether a port of a pod accepts plaintext, mutual TLS or both."""

from __future__ import annotations

import pytest

from rollout.envoy.peer_modes import port_mode
from tests.rollout.envoy.example_mesh import documents, read_objects


def peer(spec: str, namespace: str = "shop", name: str = "a", created: str = "null") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: {created}}}
spec: {spec}
"""


STRICT = "{mtls: {mode: STRICT}}"
DISABLE = "{mtls: {mode: DISABLE}}"
UNSET = "{mtls: {mode: UNSET}}"
SELECTED = "selector: {matchLabels: {app: kv}}"
OWN_STRICT = f"{SELECTED}, mtls: {{mode: STRICT}}, portLevelMtls"


@pytest.mark.parametrize(
    ("texts", "mode"),
    [
        ([], "PERMISSIVE"),
        ([peer(STRICT)], "STRICT"),
        ([peer(STRICT, "other")], "PERMISSIVE"),
        ([peer(STRICT, "istio-system")], "STRICT"),
        ([peer(STRICT, "istio-system"), peer(DISABLE)], "DISABLE"),
        ([peer(STRICT, "istio-system"), peer(UNSET)], "STRICT"),
        ([peer(STRICT), peer(f"{{{SELECTED}, mtls: {{mode: DISABLE}}}}", name="b")], "DISABLE"),
        ([peer(STRICT), peer(f"{{{SELECTED}, mtls: {{mode: UNSET}}}}", name="b")], "STRICT"),
        ([peer(STRICT), peer("{selector: {matchLabels: {app: x}}}", name="b")], "STRICT"),
        # A policy for a selection has no effect in the root namespace.
        ([peer(f"{{{SELECTED}, mtls: {{mode: STRICT}}}}", "istio-system")], "PERMISSIVE"),
        # The oldest of a scope counts.
        (
            [
                peer(STRICT, created="'2026-01-02T00:00:00Z'"),
                peer(DISABLE, name="b", created="'2026-01-01T00:00:00Z'"),
            ],
            "DISABLE",
        ),
        (
            [peer(f"{{{OWN_STRICT}: {{8080: {{mode: DISABLE}}}}}}")],
            "DISABLE",
        ),
        (
            [peer(f"{{{OWN_STRICT}: {{9090: {{mode: DISABLE}}}}}}")],
            "STRICT",
        ),
        (
            [peer(f"{{{OWN_STRICT}: {{8080: {{mode: UNSET}}}}}}")],
            "STRICT",
        ),
    ],
)
def test_the_narrowest_policy_that_sets_a_mode_counts(texts: list[str], mode: str) -> None:
    peers = read_objects(documents(*texts)).peer_authentications

    assert port_mode("shop", {"app": "kv", "track": "stable"}, 8080, peers) == mode
