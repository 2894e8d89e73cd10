"""Every directory under istio/ renders, and its routes are safe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.dashboards import panels
from tests.support.manifests import ROOT, components, containers, kustomizations, of_kind, render
from tests.support.manifests import templates as pods_of
from tests.support.rule_files import committed_rules

Json = dict[str, Any]

ISTIO: Final = ROOT / "istio"
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
WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
READS: Final = ("GET", "HEAD")
TRAFFIC_PORT: Final = 8080
ADMIN_PORT: Final = 9102


def named(path: Path) -> str:
    return str(path.relative_to(ISTIO)) if path.is_relative_to(ISTIO) else str(path)


def steps(folder: str) -> list[str]:
    """Return a folder's steps, sorted by number."""
    names = [path.parent.name for path in (ROOT / folder / "steps").glob("*/kustomization.yaml")]
    found = sorted(names, key=lambda name: (int(name) if name.isdigit() else 0, name))
    return [f"{folder}/steps/{name}" for name in found]


def routes(directory: str | Path) -> list[Json]:
    """Return the routes of a directory's one VirtualService."""
    [service] = of_kind(render(directory), "VirtualService")
    found: list[Json] = service["spec"]["http"]
    return found


def weights(route: Json) -> dict[str, int]:
    """Return a route's weights by subset, or by host if it has no subsets."""
    return {
        each["destination"].get("subset", each["destination"]["host"]): each["weight"]
        for each in route["route"]
    }


def accepts(route: Json, method: str) -> bool:
    return any(fits(match.get("method"), method) for match in route.get("match", [{}]))


def fits(match: Json | None, text: str) -> bool:
    """Match the whole text, as Envoy does. None matches everything."""
    if match is None:
        return True
    [(kind, wanted)] = match.items()
    if kind == "regex":
        return re.fullmatch(wanted, text) is not None
    return text == wanted if kind == "exact" else text.startswith(wanted)


def every_route() -> Iterator[tuple[str, Json]]:
    for directory in kustomizations("istio"):
        for service in of_kind(render(directory), "VirtualService"):
            for route in service["spec"]["http"]:
                yield f"{named(directory)}: {route['name']}", route


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


def test_the_shares_of_every_route_sum_to_100() -> None:
    sums = {name: sum(weights(route).values()) for name, route in every_route()}

    assert set(sums.values()) == {100}, sums


def test_no_route_repeats_a_write() -> None:
    for name, route in every_route():
        if any(accepts(route, method) for method in WRITES):
            assert route["retries"] == {"attempts": 0}, name


def test_counting_a_visit_is_no_read() -> None:
    for name, route in every_route():
        if route["retries"]["attempts"]:
            for match in route["match"]:
                assert not fits(match["uri"], "/"), name


def test_only_reads_are_mirrored_and_to_a_host_that_no_route_sends_to() -> None:
    hosts = {each["destination"]["host"] for _, route in every_route() for each in route["route"]}
    mirrored = {
        name: [each["destination"]["host"] for each in route["mirrors"]]
        for name, route in every_route()
        if "mirrors" in route
    }

    assert mirrored
    for name, route in every_route():
        assert "mirror" not in route, name
        if name in mirrored:
            assert not any(accepts(route, method) for method in WRITES), name
            assert all(accepts(route, method) for method in READS), name
            assert not hosts & set(mirrored[name]), name


def test_the_shadow_has_a_store_of_its_own() -> None:
    def store_of(directory: str) -> set[str]:
        return {
            variable["valueFrom"]["secretKeyRef"]["name"]
            for _, template in pods_of(render(directory))
            for container in containers(template)
            for variable in container.get("env", [])
            if variable["name"] == "KV_STORE_URL"
        }

    assert store_of("istio/mirror/shadow") == {"kv-redis-shadow"}
    assert store_of("istio/gateway") == {"kv-redis"}
    [(_, redis)] = pods_of(render("istio/mirror/store"))
    assert redis["spec"]["volumes"][1]["secret"]["secretName"] == "kv-redis-shadow"


def test_users_do_not_reach_the_shadow_by_the_service() -> None:
    [service] = [
        each
        for each in of_kind(render("istio/shared"), "Service")
        if each["metadata"]["name"] == "kv"
    ]
    [(_, shadow)] = pods_of(render("istio/mirror/shadow"))

    assert not service["spec"]["selector"].items() <= shadow["metadata"]["labels"].items()


def test_a_default_route_is_the_last_and_the_only_one() -> None:
    for directory in kustomizations("istio"):
        for service in of_kind(render(directory), "VirtualService"):
            without = ["match" not in route for route in service["spec"]["http"]]
            assert without == [False] * (len(without) - 1) + [True], named(directory)


def test_every_route_has_a_name_of_its_own_and_an_end() -> None:
    for directory in kustomizations("istio"):
        for service in of_kind(render(directory), "VirtualService"):
            names = [route["name"] for route in service["spec"]["http"]]
            assert len(names) == len(set(names)), named(directory)
    for name, route in every_route():
        assert route["timeout"], name


def test_callers_in_the_mesh_go_by_the_same_routes() -> None:
    for directory in kustomizations("istio"):
        for service in of_kind(render(directory), "VirtualService"):
            assert service["spec"]["gateways"] == ["kv", "mesh"], named(directory)
            assert service["spec"]["hosts"][1:] == ["kv"], named(directory)


def test_the_admin_port_is_in_no_route_and_no_gateway() -> None:
    for directory in kustomizations("istio"):
        for each in of_kind(render(directory), "VirtualService", "HTTPRoute", "Gateway", "Canary"):
            assert str(ADMIN_PORT) not in json.dumps(each), named(directory)
    for name, route in every_route():
        for each in [*route["route"], *route.get("mirrors", [])]:
            assert each["destination"]["port"]["number"] == TRAFFIC_PORT, name


def test_a_proxy_gives_an_idle_connection_up_before_the_service_does() -> None:
    from svc.settings import Settings

    policies = [
        each["spec"]["trafficPolicy"]
        for directory in kustomizations("istio")
        for each in of_kind(render(directory), "DestinationRule")
    ]
    [canary] = of_kind(render("istio/flagger"), "Canary")
    policies.append(canary["spec"]["service"]["trafficPolicy"])

    for policy in policies:
        idle = policy["connectionPool"]["http"]["idleTimeout"]
        assert int(idle.removesuffix("s")) < Settings().keepalive_seconds


def outlier_rules() -> Iterator[tuple[str, Json]]:
    for directory in kustomizations("istio"):
        for each in of_kind(render(directory), "DestinationRule"):
            # No client waits for the shadow.
            if each["spec"]["host"] != "kv-shadow":
                yield named(directory), each["spec"]["trafficPolicy"]["outlierDetection"]
            for subset in each["spec"].get("subsets", []):
                assert "trafficPolicy" not in subset, named(directory)
    [canary] = of_kind(render("istio/flagger"), "Canary")
    yield "flagger", canary["spec"]["service"]["trafficPolicy"]["outlierDetection"]


def test_a_pod_of_a_small_subset_is_ejected_and_what_all_share_ejects_nobody() -> None:
    [scaler] = of_kind(render("istio/tracks/stable"), "HorizontalPodAutoscaler")
    sizes = range(scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"] + 1)

    for directory, rule in outlier_rules():
        most, least_healthy = rule["maxEjectionPercent"], rule["minHealthPercent"]
        for pods in sizes:
            # Envoy ejects pods up to the limit. Below minHealthPercent it uses all pods again.
            assert 100 / pods <= most, directory
            assert 100 * (pods - 1) / pods >= least_healthy, directory
            ejected = pods * most // 100
            if pods > 3:
                assert 100 * (pods - ejected) / pods < least_healthy, directory


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
