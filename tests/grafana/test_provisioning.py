"""What a cluster and compose.yaml give Prometheus and Grafana."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.grafana.test_dashboards import DASHBOARDS
from tests.support.dashboards import Json
from tests.support.prometheus import need_program
from tests.support.rule_files import rule_paths
from tests.support.services import ROOT


def loaded(*path: str) -> Any:
    return yaml.safe_load(ROOT.joinpath(*path).read_text())


def test_a_cluster_gets_each_dashboard_as_a_config_map_that_grafana_finds() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl 1.21 or later")

    built = subprocess.run(
        [kubectl, "kustomize", ROOT / "grafana"], capture_output=True, check=True
    )

    held: Json = {}
    for config_map in yaml.safe_load_all(built.stdout):
        assert config_map["metadata"]["labels"] == {"grafana_dashboard": "1"}
        held |= {name: json.loads(text) for name, text in config_map["data"].items()}
    assert {dashboard["uid"]: dashboard for dashboard in held.values()} == {
        dashboard["uid"]: dashboard for dashboard in DASHBOARDS.values()
    }


def test_prometheus_of_compose_takes_its_configuration_and_all_rules() -> None:
    promtool = need_program("promtool")
    file = ROOT / "grafana" / "provisioning" / "prometheus" / "prometheus.yaml"

    checked = subprocess.run([promtool, "check", "config", file], capture_output=True, check=False)

    assert checked.returncode == 0, checked.stderr.decode()
    listed = loaded("grafana", "provisioning", "prometheus", "prometheus.yaml")["rule_files"]
    assert sorted((file.parent / name).resolve() for name in listed) == rule_paths()


def test_prometheus_of_compose_names_the_pods_as_they_name_themselves() -> None:
    services = loaded("compose.yaml")["services"]
    config = loaded("grafana", "provisioning", "prometheus", "prometheus.yaml")
    (job,) = config["scrape_configs"]

    for group in job["static_configs"]:
        (target,) = group["targets"]
        environment = services[target.removesuffix(":9102")]["environment"]
        labels = group["labels"]
        assert labels["pod"] == environment["KV_POD"]
        assert labels["version"] == environment["KV_VERSION"]
        assert labels["track"] == environment.get("KV_TRACK", "stable")


def test_grafana_of_compose_finds_its_dashboards_and_follows_exemplars_to_traces() -> None:
    services = loaded("compose.yaml")["services"]
    (provider,) = loaded("grafana", "provisioning", "dashboards", "dashboards.yaml")["providers"]
    sources = loaded("grafana", "provisioning", "datasources", "datasources.yaml")["datasources"]
    prometheus, jaeger = sources

    assert (
        f"./grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    )
    assert prometheus["jsonData"]["exemplarTraceIdDestinations"][0]["name"] == "trace_id"
    assert (
        prometheus["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == jaeger["uid"]
    )
    assert "--enable-feature=exemplar-storage" in services["prometheus"]["command"]
    for source in sources:
        assert source["url"].removeprefix("http://").partition(":")[0] in services


def test_compose_without_a_profile_is_the_service_and_its_redis() -> None:
    services = loaded("compose.yaml")["services"]
    always = {name for name, service in services.items() if "profiles" not in service}

    assert always == {"tallykv", "redis"}
    for service in services.values():
        assert re.fullmatch(r"tallykv|\S+:\S+", service["image"])
        assert ":latest" not in service["image"]
