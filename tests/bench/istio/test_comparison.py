"""Facts are compared one by one; only what has no consequence counts as equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.frame.processes import ROOT
from bench.istio.__main__ import PACKED, main
from bench.istio.cases import Case
from bench.istio.comparison import compare
from bench.istio.judgement import NOT_MODELLED, judge


def paths(istio: Any, ours: Any) -> list[str]:
    return [each.path for each in compare(istio, ours).different]


@pytest.mark.parametrize(
    ("istio", "ours"),
    [
        ({"a": [1, 2]}, {"a": [1, 2]}),
        ({"common_lb_config": {}}, {}),
        ({"redirect": {"path_redirect": ""}}, {"redirect": {}}),
        ({"minimum_ring_size": "1024"}, {"minimum_ring_size": 1024}),
        (
            {"percentage": {"numerator": 100}},
            {"percentage": {"numerator": 1_000_000, "denominator": "MILLION"}},
        ),
        ({"abort": {"http_status": 503}}, {"abort": {"http_status": 503, "percentage": {}}}),
        (
            {"query_parameters": [{"name": "b"}, {"name": "a"}]},
            {"query_parameters": [{"name": "a"}, {"name": "b"}]},
        ),
    ],
)
def test_what_means_the_same_is_equal(istio: Any, ours: Any) -> None:
    assert paths({"x": 1, **istio}, {"x": 1, **ours}) == []


def test_each_leaf_is_a_fact_and_has_its_path() -> None:
    istio = {"routes": [{"timeout": "3s"}, {"timeout": "4s"}], "tcp": [], "port": 80}
    ours = {"routes": [{"timeout": "3s"}, {"timeout": "5s"}], "port": 80, "more": True}

    found = compare(istio, ours)

    assert paths(istio, ours) == ["/more", "/routes[1]/timeout", "/tcp"]
    assert (found.compared, found.equal) == (5, 2)


def test_the_order_of_routes_is_a_fact() -> None:
    assert paths({"routes": ["a", "b"]}, {"routes": ["b", "a"]}) == ["/routes[0]", "/routes[1]"]


INPUT = """
apiVersion: v1
kind: Service
metadata: {name: kv, namespace: shop}
spec: {ports: [{port: 80, name: http}]}
"""


def test_a_difference_is_printed_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / "group" / "one"
    case.mkdir(parents=True)
    (case / "input.yaml").write_text(INPUT)
    facts: dict[str, Any] = {
        "gateways": {"gateway": {"ports": {}, "routes": {}, "clusters": {}}},
        "sidecars": {},
    }
    (case / "istiod.json").write_text(json.dumps(facts))

    assert main([str(tmp_path)]) == 1

    printed = capsys.readouterr().out
    assert "group/one: /gateways/gateway/clusters/outbound|80||kv.shop.svc.cluster.local" in printed
    assert printed.splitlines()[-1].split()[:2] == ["all", "1"]


def test_an_input_that_is_refused_here_is_a_difference() -> None:
    gateway = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "a"}}

    found = judge(Case("a", ({**gateway, "spec": {"servers": []}},), {}))

    [difference] = found.different
    assert (difference.path, difference.istio) == ("/input.yaml", "accepted")
    assert "spec.servers" in difference.ours


def test_without_cases_nothing_is_proven(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2


def test_the_packed_cases_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PACKED)]) == 0

    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[0] == "all"
    assert last[4] == "0"


def test_each_feature_that_is_not_modelled_is_named_where_users_read() -> None:
    page = (ROOT / "docs" / "reference" / "istio.md").read_text()

    for kind, feature, _ in NOT_MODELLED:
        assert any(kind in row and feature in row for row in page.splitlines() if row[:1] == "|")
