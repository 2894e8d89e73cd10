"""``record`` on a real Envoy: what is written holds, and what is left out is named."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.rollout.cli.cli_runner import call, call_test
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.rollout.probing.meshes import SHOP, virtual_service, write

ROUTE_OF_ANOTHER_CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: elsewhere, namespace: shop}
spec:
  gatewayClassName: nginx
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: elsewhere, namespace: shop}
spec:
  parentRefs: [{name: elsewhere}]
  rules: [{backendRefs: [{name: kv, port: 80}]}, {backendRefs: [{name: kv, port: 80}]}]
"""
SHADOWED = """
- route: [{destination: {host: kv}}]
- name: never
  match: [{uri: {prefix: /v2}}]
  route: [{destination: {host: kv}}]
"""


def test_what_is_recorded_holds(tmp_path: Path) -> None:
    need_envoy()
    recorded = tmp_path / "recorded.test.yaml"
    rules = [SHOP / "base.yaml", SHOP / "rules.yaml"]

    assert call("record", *rules, "--output", recorded).code == 0

    tested = call_test(recorded, "--full-coverage")
    assert tested.code == 0, tested.out + tested.err
    assert "7 of 7 rules and matches reached" in tested.out


def test_rules_that_no_request_reaches_are_named_with_the_reason(tmp_path: Path) -> None:
    need_envoy()
    base = (SHOP / "base.yaml").read_text()
    shadowed = virtual_service(SHADOWED)
    write(tmp_path, base_yaml=base, class_yaml=ROUTE_OF_ANOTHER_CLASS, service_yaml=shadowed)

    recorded = call("record", tmp_path)

    assert recorded.code == 0, recorded.err
    said = [line for line in recorded.out.splitlines() if line.startswith("#")]
    rule = "VirtualService shop/kv http[1].match[0] (never)"
    assert said == [
        f"# Not recorded: {rule}: no request was found that reaches it",
        "# Not recorded: HTTPRoute shop/elsewhere: no proxy here has its rules",
    ]
    names = {each["name"] for each in yaml.safe_load(recorded.out)["tests"]}
    assert names == {"VirtualService shop/kv http[0]"}


def test_objects_that_do_the_same_for_other_callers_are_all_recorded(tmp_path: Path) -> None:
    need_envoy()
    rule = "{route: [{destination: {host: kv.shop.svc.cluster.local}}]}"
    private = "".join(
        f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: kv, namespace: {namespace}}}
spec: {{hosts: [kv.shop.svc.cluster.local], exportTo: ["."], http: [{rule}]}}
"""
        for namespace in ("a", "b")
    )
    write(tmp_path, base_yaml=(SHOP / "base.yaml").read_text(), private_yaml=private)

    recorded = call("record", tmp_path)

    assert recorded.code == 0, recorded.err
    assert "#" not in recorded.out
    tests = yaml.safe_load(recorded.out)["tests"]
    assert [(each["name"], each["from"]) for each in tests] == [
        ("VirtualService a/kv http[0]", "a"),
        ("VirtualService b/kv http[0]", "b"),
    ]
