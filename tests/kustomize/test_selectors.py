"""Whom the selectors of Services, workloads, budgets and monitors take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kustomize.installations import WHOLE, Objects, name_of
from tests.kustomize.pods import inside
from tests.support.manifests import (
    is_selected,
    of_kind,
    render,
    the,
    title,
)


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_selectors_take_the_pods_they_are_meant_for(directory: Path) -> None:
    objects = render(directory)
    pods = list(inside(objects))
    meant = {
        ("Service", "kv"): {"kv"},
        ("Service", "kv-metrics"): {"kv"},
        ("Service", "redis"): {"redis"},
        ("Service", "redis-headless"): {"redis"},
        ("Service", "sentinel"): {"sentinel"},
        ("Deployment", "kv"): {"kv"},
        ("StatefulSet", "redis"): {"redis"},
        ("StatefulSet", "sentinel"): {"sentinel"},
        ("PodMonitor", "kv"): {"kv"},
        ("PodDisruptionBudget", "kv"): {"kv"},
        ("PodDisruptionBudget", "redis"): {"redis"},
        ("PodDisruptionBudget", "sentinel"): {"sentinel"},
        ("PeerAuthentication", "kv"): {"kv"},
        ("AuthorizationPolicy", "kv"): {"kv"},
        ("AuthorizationPolicy", "redis"): {"redis", "sentinel"} & {pod.name for pod in pods},
    }

    for each in objects:
        selector = each.get("spec", {}).get("selector")
        if selector is not None:
            taken = {pod.name for pod in pods if is_selected(pod.labels, selector)}
            assert taken == meant[each["kind"], each["metadata"]["name"]], title(each)


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_a_services_ports_are_its_pods_and_none_but_kv_metrics_shows_the_admin_port(
    directory: Path,
) -> None:
    objects = render(directory)
    pods = list(inside(objects))
    for service in of_kind(objects, "Service"):
        taken = [pod for pod in pods if is_selected(pod.labels, service["spec"]["selector"])]
        for port in service["spec"]["ports"]:
            assert {pod.ports[port["targetPort"]] for pod in taken} == {(port["port"], "TCP")}
            assert (port["targetPort"] == "admin") == (service["metadata"]["name"] == "kv-metrics")
            protocol = port["name"].partition("-")[0]
            assert port["appProtocol"] == protocol


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_a_stateful_set_has_its_headless_service_and_its_pods_find_each_other_early(
    directory: Path,
) -> None:
    objects = render(directory)
    for each in of_kind(objects, "StatefulSet"):
        service = the(objects, "Service", each["spec"]["serviceName"])

        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        assert service["spec"]["selector"] == each["spec"]["selector"]["matchLabels"]


def test_the_monitor_scrapes_a_port_that_the_pods_have(secured: Objects) -> None:
    monitor = the(secured, "PodMonitor", "kv")
    taken = [pod for pod in inside(secured) if is_selected(pod.labels, monitor["spec"]["selector"])]

    assert {pod.name for pod in taken} == {"kv"}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert all(endpoint["port"] in pod.ports for pod in taken)
