"""The routes of every directory under istio/ are safe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.support.manifests import ROOT, containers, kustomizations, of_kind, render
from tests.support.manifests import templates as pods_of

Json = dict[str, Any]

ISTIO: Final = ROOT / "istio"
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
