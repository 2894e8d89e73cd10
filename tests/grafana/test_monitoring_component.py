"""The monitoring component builds, and its rules are those of grafana/rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pod_monitor import COMPONENT
from tests.support.rule_files import read_groups, rule_paths


def build(directory: Path) -> dict[str, Any]:
    """Return the objects of a small base with the component, by kind."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl 1.21 or later")
    component = os.path.relpath(COMPONENT, directory.resolve())
    (directory / "service.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: kv}, spec: {ports: [{port: 80}]}}\n"
    )
    (directory / "kustomization.yaml").write_text(
        f"namespace: shop\nresources: [service.yaml]\ncomponents: [{component}]\n"
    )
    built = subprocess.run(
        [kubectl, "kustomize", str(directory)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert built.stderr == ""
    return {each["kind"]: each for each in yaml.safe_load_all(built.stdout)}


def test_a_base_with_the_component_is_scraped_and_has_the_rules(tmp_path: Path) -> None:
    objects = build(tmp_path)

    assert set(objects) == {"Service", "PodMonitor", "PrometheusRule"}
    assert {each["metadata"]["namespace"] for each in objects.values()} == {"shop"}
    for kind, file in (
        ("PodMonitor", "podmonitor.yaml"),
        ("PrometheusRule", "prometheusrule.yaml"),
    ):
        assert objects[kind]["spec"] == yaml.safe_load((COMPONENT / file).read_text())["spec"]


def test_the_cluster_gets_the_very_rules_that_are_tested() -> None:
    committed = [group for path in rule_paths() for group in read_groups(path)]
    deployed = yaml.safe_load((COMPONENT / "prometheusrule.yaml").read_text())["spec"]["groups"]

    assert len(committed) > 1
    assert deployed == committed, "out of step: run python -m kustomize.components.monitoring.build"


def test_only_pods_of_the_service_and_only_their_admin_port_are_scraped(
    pod_monitor: dict[str, Any],
) -> None:
    spec = pod_monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]

    assert spec["selector"] == {"matchLabels": {"app.kubernetes.io/name": "kv"}}
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    assert spec["sampleLimit"] == 2000
