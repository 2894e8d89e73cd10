"""Every directory renders, its pods are told apart, and the READMEs name what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests.istio.test_routes import ISTIO, Json, named
from tests.support.dashboards import panels
from tests.support.manifests import ROOT, components, containers, kustomizations, of_kind, render
from tests.support.manifests import templates as pods_of
from tests.support.rule_files import committed_rules

STRATEGIES: Final = [
    "gateway",
    "canary",
    "canary-baseline",
    "blue-green",
    "ab",
    "mirror",
    "fault",
    "microservices",
    "gateway-api",
    "flagger",
    "argo-rollouts",
]


@pytest.mark.parametrize("directory", kustomizations("istio"), ids=named)
def test_a_directory_renders_without_a_warning(directory: Path) -> None:
    assert render(directory)


@pytest.mark.parametrize("component", components("istio"), ids=named)
def test_a_component_is_part_of_something_that_renders(component: Path) -> None:
    used = {
        (file.parent / name).resolve()
        for file in ISTIO.rglob("kustomization.yaml")
        for name in re.findall(r"[-\[ ](\.\.[./\w-]+)", file.read_text())
    }

    # These components are not in any overlay: TLS needs a certificate, the rate limit is optional.
    assert component in used or named(component) in {"gateway/tls", "microservices/rate-limit"}


def rendered_with(directory: Path, *, resource: str, component: str) -> list[Json]:
    """Render a kustomization that uses a component."""
    above = "../" * len(directory.resolve().parts[1:]) + str(ISTIO.resolve())[1:]
    (directory / "kustomization.yaml").write_text(
        f"resources: [{above}/{resource}]\ncomponents: [{above}/{component}]\n"
    )
    return render(directory)


def test_https_can_be_added(tmp_path: Path) -> None:
    rendered = rendered_with(tmp_path, resource="gateway/listener", component="gateway/tls")

    [gateway] = of_kind(rendered, "Gateway")

    plain, https = gateway["spec"]["servers"]
    assert plain["tls"] == {"httpsRedirect": True}
    assert https["port"]["number"] == 443
    assert https["hosts"] == plain["hosts"]


def test_a_rate_limit_can_be_added_and_is_for_our_host_alone(tmp_path: Path) -> None:
    rendered = rendered_with(
        tmp_path, resource="microservices/steps/split", component="microservices/rate-limit"
    )

    [limit] = of_kind(rendered, "EnvoyFilter")
    [gateway] = of_kind(render("istio/gateway/listener"), "Gateway")
    [host] = gateway["spec"]["servers"][0]["hosts"]
    _, bucket = limit["spec"]["configPatches"]
    assert limit["metadata"]["namespace"] == "istio-system"
    assert limit["spec"]["workloadSelector"]["labels"] == gateway["spec"]["selector"]
    assert bucket["match"]["routeConfiguration"] == {"vhost": {"name": f"{host}:80"}}


def test_a_release_touches_no_store() -> None:
    for directory in kustomizations("istio"):
        for owner, template in pods_of(render(directory)):
            if owner["kind"] == "StatefulSet":
                assert "version" not in template["metadata"]["labels"], named(directory)


def test_a_pod_calls_itself_by_the_image_that_it_runs() -> None:
    for directory in kustomizations("istio"):
        for owner, template in pods_of(render(directory)):
            labels = template["metadata"]["labels"]
            if labels["app.kubernetes.io/name"] == "kv" and owner["kind"] == "Deployment":
                [container] = containers(template)
                if container["image"].startswith("registry."):
                    assert container["image"].endswith(f":{labels['version']}"), named(directory)
                assert labels["version"] == labels["app.kubernetes.io/version"], named(directory)


def test_each_track_is_told_apart_by_name_selector_and_label() -> None:
    for track in ("stable", "canary", "blue", "green"):
        rendered = render(f"istio/tracks/{track}")
        [deployment] = of_kind(rendered, "Deployment")
        [scaler] = of_kind(rendered, "HorizontalPodAutoscaler")
        [budget] = of_kind(rendered, "PodDisruptionBudget")
        mine = {"app": "kv", "track": track}

        assert deployment["metadata"]["name"] == f"kv-{track}"
        assert deployment["spec"]["selector"]["matchLabels"] == mine
        assert mine.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
        assert "replicas" not in deployment["spec"]
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"kv-{track}"
        assert budget["spec"]["selector"]["matchLabels"] == mine


def test_what_prometheus_and_its_certificate_free_port_need_covers_all_pods_but_the_shadow() -> (
    None
):
    shared = render("istio/shared")
    [monitor] = of_kind(shared, "PodMonitor")
    [metrics] = [s for s in of_kind(shared, "Service") if s["metadata"]["name"] == "kv-metrics"]
    [own] = of_kind(render("istio/mirror/monitor"), "PodMonitor")
    [(_, shadow)] = pods_of(render("istio/mirror/shadow"))
    labels = shadow["metadata"]["labels"]

    assert metrics["spec"]["selector"].items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["selector"]["matchExpressions"] == [
        {"key": "track", "operator": "NotIn", "values": ["shadow"]}
    ]
    assert own["spec"]["selector"]["matchLabels"].items() <= labels.items()
    jobs = [
        each["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"]
        for each in (monitor, own)
    ]
    assert jobs == ["kv", "kv-shadow"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_says_what_it_is_for(strategy: str) -> None:
    text = (ISTIO / strategy / "README.md").read_text()

    assert text.startswith("# ")
    assert "```sh\n" in text or strategy == "canary"
    assert "\n## Watch\n" in text
    assert f"[{strategy}]({strategy}/README.md)" in (ISTIO / "README.md").read_text()


def test_the_readmes_name_what_there_is() -> None:
    dashboards = [
        json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")
    ]
    shown = {
        f"{each['title'].removeprefix('tallykv / ')} / {panel['title']}"
        for each in dashboards
        for panel in panels(each)
    }
    alerts = {rule.name for rule in committed_rules() if rule.alert}

    for readme in ISTIO.rglob("README.md"):
        text = readme.read_text()
        for panel in re.findall(r"\*((?:Rollout|Service) / [^*]+)\*", text):
            assert panel in shown, f"{readme}: {panel}"
        for alert in re.findall(r"\bKV[A-Z][A-Za-z]+", text):
            assert alert in alerts, f"{readme}: {alert}"
        for directory in re.findall(r"-k ((?:istio|kustomize)/[\w/-]+)", text):
            assert (ROOT / directory / "kustomization.yaml").is_file(), f"{readme}: {directory}"
        for link in re.findall(r"\]\(([\w./-]+)[^)]*\)", text):
            assert (readme.parent / link).is_file(), f"{readme}: {link}"
