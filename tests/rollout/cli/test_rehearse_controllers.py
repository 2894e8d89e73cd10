"""``rehearse`` of Argo Rollouts' and Flagger's objects: the weights that they would set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.cli.cli_process import assert_promoted, rehearsed_good
from tests.rollout.cli.cli_runner import call
from tests.rollout.cli.test_rehearse import QUICK
from tests.rollout.plan.manifests import (
    API_GATEWAY,
    DEPLOYMENT,
    GATEWAY,
    RULE,
    SERVICE,
    api_route,
    backend,
    routes,
    service,
    subset,
    write,
)
from tests.rollout.rehearsal.plans import need_programs

ROLLOUT: Final = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: reviews, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: reviews}}}}
  {pods}
  strategy:
    canary:
      canaryService: reviews-canary
      stableService: reviews-stable
      trafficRouting: {routing}
      steps:
        - {{setWeight: 5}}
        - {{pause: {{duration: 10s}}}}
        - {{setWeight: 40}}
        - {{setCanaryScale: {{matchTrafficWeight: true}}}}
        {more}
"""
TEMPLATE: Final = """\
template:
    metadata: {labels: {app: reviews}}
    spec: {containers: [{name: reviews, image: reviews, ports: [{containerPort: 9080}]}]}"""
WORKLOAD: Final = "workloadRef: {apiVersion: apps/v1, kind: Deployment, name: reviews-v1}"
CANARY: Final = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {{name: reviews, namespace: shop}}
spec:
  provider: {provider}
  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: reviews-v1}}
  service: {{name: reviews, port: 9080, hosts: [reviews.example.com], {service}}}
  analysis: {{interval: 1m, threshold: 5, {analysis}}}
"""
ISTIO: Final = "{istio: {virtualService: {name: reviews}}}"
PLUGIN: Final = "{plugins: {argoproj-labs/gatewayAPI: {httpRoute: reviews, namespace: shop}}}"
SUBSETS: Final = """{istio: {virtualService: {name: reviews}, destinationRule: {name: reviews,\
 stableSubsetName: v1, canarySubsetName: v2}}}"""
SERVICES: Final = [
    SERVICE.format(name=f"reviews-{each}", selector="app: reviews") for each in ("stable", "canary")
]
#: Argo Rollouts adds to the subsets what tells the pods of the releases apart.
RULES: Final = RULE.replace("version: v1", "app: reviews").replace("version: v2", "app: reviews")
OWNED: Final = SERVICE.format(name="reviews", selector="app: reviews")


def rollout(routing: str, pods: str = TEMPLATE, more: str = "") -> str:
    return ROLLOUT.format(routing=routing, pods=pods, more=more)


def canary(
    provider: str = "istio",
    service: str = "gateways: [edge]",
    analysis: str = "stepWeight: 20, maxWeight: 40",
) -> str:
    return CANARY.format(provider=provider, service=service, analysis=analysis)


def deployment() -> str:
    return DEPLOYMENT.format(version="v1")


BY_SERVICE: Final = routes(service("reviews-stable", 100), service("reviews-canary", 0))
BY_SUBSET: Final = routes(subset("v1", 100), subset("v2", 0))
BY_BACKEND: Final = api_route(backend("reviews-stable", 100), backend("reviews-canary", 0))


@pytest.mark.parametrize(
    ("texts", "steps"),
    [
        ([GATEWAY, *SERVICES, BY_SERVICE, rollout(ISTIO)], ["5", "40", "100"]),
        (
            [GATEWAY, *SERVICES, OWNED, RULES, deployment(), BY_SUBSET, rollout(SUBSETS, WORKLOAD)],
            ["5", "40", "100"],
        ),
        ([API_GATEWAY, *SERVICES, BY_BACKEND, rollout(PLUGIN)], ["5", "40", "100"]),
        ([GATEWAY, deployment(), canary()], ["20", "40", "100"]),
        (
            [
                API_GATEWAY,
                deployment(),
                canary("gatewayapi:v1", "gatewayRefs: [{name: edge}]", "stepWeights: [1, 30]"),
            ],
            ["1", "30", "100"],
        ),
    ],
    ids=["argo-services", "argo-subsets", "argo-plugin", "flagger-istio", "flagger-gateway-api"],
)
def test_the_weights_of_the_controller_are_walked(
    tmp_path: Path, texts: list[str], steps: list[str]
) -> None:
    need_programs()
    mesh = write(tmp_path / "mesh", texts)

    said = rehearsed_good(tmp_path, mesh, "--no-prometheus", *QUICK)

    assert_promoted(said)
    assert re.findall(r"step  (\d+) ", said.out)[: len(steps)] == steps
    assert re.search(r"^clients: \d+ requests, 0 failed$", said.out, re.MULTILINE)
    assert "do not run: the rehearsal judges each step" in said.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            rollout(ISTIO, more="- {setHeaderRoute: {name: a}}"),
            "Rollout shop/reviews spec.strategy.canary.steps[4].setHeaderRoute is not modelled",
        ),
        (rollout(ISTIO, more="- {setWeight: 10}"), "the weights decrease from 40 to 10"),
        (rollout("{nginx: {stableIngress: a}}"), "trafficRouting is not modelled"),
        (canary(analysis="iterations: 5"), "spec.analysis.iterations is not modelled"),
        (canary("linkerd"), "spec.provider is not modelled: it is linkerd"),
        (
            canary("gatewayapi:v1", "gatewayRefs: [{name: edge}], retries: {attempts: 1}"),
            "spec.service.retries is not modelled",
        ),
    ],
)
def test_what_is_not_modelled_is_named(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # lint has its own opinion of these manifests.
    monkeypatch.setattr("rollout.plan.derived_plan.refuse_errors", lambda _: None)
    mesh = write(tmp_path / "mesh", [GATEWAY, *SERVICES, deployment(), BY_SERVICE, text])

    refused = call("rehearse", mesh)

    assert refused.code == 2
    assert said in refused.err
