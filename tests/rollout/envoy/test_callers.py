"""The same objects give each caller another configuration."""

from __future__ import annotations

from typing import Any, Final

import pytest

from rollout.envoy.proxy import Proxy
from rollout.envoy.translation import translate
from tests.rollout.envoy.callers import (
    EDGE,
    ELSEWHERE,
    IN_SHOP,
    NETWORKING,
    REST,
    answer,
    routes,
    rule,
    seen,
    virtual,
)
from tests.rollout.envoy.example_mesh import KV_MANIFESTS, WHOLE, documents, read_objects

#: The Service and its pods, without a DestinationRule.
BARE: Final = KV_MANIFESTS.split("---\napiVersion: networking", maxsplit=1)[0]


def algorithm(proxy: Proxy, *texts: str) -> Any:
    """Return how requests to the Service are balanced."""
    [found] = translate(read_objects(documents(BARE, *texts)), proxy).clusters
    return found.resource["lb_policy"]


class TestDestinationRules:
    """A rule of the caller's namespace, else of the service's, else of the root namespace."""

    SHOP = rule("kv", "shop", "RANDOM")
    ROOT = rule("kv", "istio-system", "ROUND_ROBIN")
    OWN = rule("kv", "elsewhere", "ROUND_ROBIN")

    def test_the_nearest_counts(self) -> None:
        assert algorithm(ELSEWHERE, self.SHOP, self.ROOT, self.OWN) == "ROUND_ROBIN"
        assert algorithm(ELSEWHERE, self.SHOP, self.ROOT) == "RANDOM"
        assert algorithm(ELSEWHERE, self.ROOT) == "ROUND_ROBIN"
        assert algorithm(ELSEWHERE, rule("kv", "third", "RANDOM")) == "LEAST_REQUEST"
        assert algorithm(EDGE, self.SHOP, self.ROOT) == "RANDOM"

    def test_one_that_is_not_exported_counts_only_at_home(self) -> None:
        private = rule("a", "shop", "RANDOM", "exportTo: ['.']")

        assert algorithm(IN_SHOP, private) == "RANDOM"
        assert algorithm(ELSEWHERE, private) == "LEAST_REQUEST"

    def test_the_older_one_counts_then_the_first_by_name(self) -> None:
        first, second = rule("a", "shop", "RANDOM"), rule("b", "shop", "ROUND_ROBIN")
        older = second.replace("{name: b,", "{name: b, creationTimestamp: '2020-01-01T00:00:00Z',")
        newer = first.replace("{name: a,", "{name: a, creationTimestamp: '2021-01-01T00:00:00Z',")

        for texts in ((first, second), (second, first)):
            assert algorithm(IN_SHOP, *texts) == "RANDOM"
        for texts in ((newer, older), (older, newer)):
            assert algorithm(IN_SHOP, *texts) == "ROUND_ROBIN"

    def test_a_selector_chooses_callers_of_its_own_namespace(self) -> None:
        chosen = rule("a", "shop", "RANDOM", "workloadSelector: {matchLabels: {app: caller}}")

        assert algorithm(IN_SHOP, chosen) == "RANDOM"
        assert algorithm(Proxy.sidecar("shop", {"app": "other"}), chosen) == "LEAST_REQUEST"
        assert algorithm(Proxy.sidecar("elsewhere", {"app": "caller"}), chosen) == "LEAST_REQUEST"


class TestVirtualServices:
    def test_the_older_one_counts_then_the_first_by_name(self) -> None:
        one, two = virtual("one", answer("one")), virtual("two", answer("two"))
        old = virtual("two", answer("two"), created="2020-01-01T00:00:00Z")
        new = virtual("one", answer("one"), created="2021-01-01T00:00:00Z")

        assert routes(IN_SHOP, one, two) == routes(IN_SHOP, two, one) == ["one"]
        assert routes(IN_SHOP, new, old) == ["two"]

    def test_export_to_chooses_namespaces(self) -> None:
        private = virtual("a", answer("said", ", exportTo: ['.']"))
        chosen = virtual("a", answer("said", ", exportTo: [elsewhere]"))

        assert (routes(IN_SHOP, private), routes(ELSEWHERE, private)) == (["said"], ["default"])
        assert (routes(IN_SHOP, chosen), routes(ELSEWHERE, chosen)) == (["default"], ["said"])

    @pytest.mark.parametrize(
        ("match", "labelled", "elsewhere"),
        [
            ("{sourceLabels: {app: caller}}", "said", "rest"),
            ("{sourceNamespace: elsewhere}", "rest", "said"),
            ("{sourceNamespace: shop, sourceLabels: {app: other}}", "rest", "rest"),
            ("{gateways: [mesh], sourceNamespace: third}", "said", "said"),
        ],
    )
    def test_a_match_looks_at_the_caller(self, match: str, labelled: str, elsewhere: str) -> None:
        said = f"{{name: said, match: [{match}], directResponse: {{status: 200}}}}"
        text = virtual("a", f"{{hosts: [kv.shop.svc.cluster.local], http: [{said}, {REST}]}}")

        assert routes(IN_SHOP, text)[0] == labelled
        assert routes(ELSEWHERE, text)[0] == elsewhere


class TestServices:
    def test_one_that_is_not_exported_is_unknown_elsewhere(self) -> None:
        hidden = KV_MANIFESTS.replace(
            "metadata: {name: kv}\nspec:\n  selector",
            "metadata: {name: kv, annotations: {networking.istio.io/exportTo: '.'}}\n"
            "spec:\n  selector",
        )
        objects = read_objects(documents(hidden))

        assert len(translate(objects, IN_SHOP).clusters) == 3
        assert translate(objects, ELSEWHERE).clusters == ()
        assert translate(objects, EDGE).clusters == ()

    def test_a_sidecar_narrows_what_its_callers_reach(self) -> None:
        def sidecar(hosts: str, more: str = "", name: str = "default") -> str:
            return f"""
                {NETWORKING}
                kind: Sidecar
                metadata: {{name: {name}, namespace: elsewhere}}
                spec: {{egress: [{{hosts: {hosts}}}]{more}}}
            """

        outside = sidecar("['./*']")
        chosen = sidecar("['shop/*']", ", workloadSelector: {labels: {app: caller}}", "chosen")

        assert seen(ELSEWHERE, outside).hosts == {}
        assert seen(IN_SHOP, outside).hosts != {}
        assert seen(Proxy.sidecar("elsewhere", {"app": "caller"}), outside, chosen).hosts != {}
        # The destinations of routes are reached, too.
        led = virtual("a", "{hosts: [a.org], http: [{route: [{destination: {host: kv}}]}]}")
        led = led.replace("namespace: shop", "namespace: elsewhere").replace(
            "host: kv", "host: kv.shop.svc.cluster.local"
        )
        assert [each.name for each in seen(ELSEWHERE, outside, led).clusters][:1] == [WHOLE]

    def test_only_known_hosts_are_reached_if_a_sidecar_says_so(self) -> None:
        strict = f"""
            {NETWORKING}
            kind: Sidecar
            metadata: {{name: default, namespace: shop}}
            spec: {{outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}
        """

        [others] = [each for each in seen(IN_SHOP, strict).hosts[8080] if "*" in each["domains"]]

        assert others["routes"][0]["direct_response"] == {"status": 502}

    def test_a_service_entry_is_a_service(self) -> None:
        entry = f"""
            {NETWORKING}
            kind: ServiceEntry
            metadata: {{name: ext, namespace: shop}}
            spec:
              hosts: [api.example.org]
              resolution: STATIC
              ports: [{{number: 8080, name: http, protocol: HTTP, targetPort: 81}}]
              endpoints: [{{address: 192.0.2.1}}, {{address: 192.0.2.2, ports: {{http: 82}}}}]
        """

        found = seen(IN_SHOP, entry)

        [cluster] = [each for each in found.clusters if "api.example.org" in each.name]
        assert [tuple(each) for each in cluster.endpoints] == [
            ("192.0.2.1", 81),
            ("192.0.2.2", 82),
        ]
        assert "transport_socket_matches" not in cluster.resource
        assert routes(IN_SHOP, entry, host="api.example.org") == ["default"]
