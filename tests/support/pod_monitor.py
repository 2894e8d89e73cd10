"""A PodMonitor as a Prometheus scrape job, as the Prometheus operator generates it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.services import ROOT

COMPONENT: Final = ROOT / "kustomize" / "components" / "monitoring"
#: The fields of a relabelling in a PodMonitor, and in Prometheus' configuration.
RELABELLING: Final = {
    "action": "action",
    "modulus": "modulus",
    "regex": "regex",
    "replacement": "replacement",
    "separator": "separator",
    "sourceLabels": "source_labels",
    "targetLabel": "target_label",
}
META: Final = "__meta_kubernetes_"


def read_pod_monitor() -> dict[str, Any]:
    """Return the committed PodMonitor."""
    loaded: dict[str, Any] = yaml.safe_load((COMPONENT / "podmonitor.yaml").read_text())
    return loaded


@dataclass(frozen=True)
class Pod:
    """A pod with one container, as service discovery sees it. ``ports`` are addresses by name."""

    name: str
    labels: Mapping[str, str]
    ports: Mapping[str, str]
    namespace: str = "shop"
    phase: str = "Running"
    container: str = "kv"

    def targets(self) -> list[dict[str, Any]]:
        """Return the discovered targets: one for each port."""
        labels = {
            "namespace": self.namespace,
            "pod_name": self.name,
            "pod_phase": self.phase,
            "pod_ready": "true",
            "pod_container_name": self.container,
        }
        for name, value in self.labels.items():
            labels[f"pod_label_{_sanitized(name)}"] = value
            labels[f"pod_labelpresent_{_sanitized(name)}"] = "true"
        return [
            {
                "targets": [address],
                "labels": {
                    META + name: value
                    for name, value in {**labels, "pod_container_port_name": port}.items()
                },
            }
            for port, address in self.ports.items()
        ]


def write_pods(path: Path, pods: Iterable[Pod]) -> None:
    """Write the pods to the discovery file, atomically."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([target for pod in pods for target in pod.targets()]))
    fresh.replace(path)


def scrape_job(monitor: Mapping[str, Any], pods: Path, *, namespace: str) -> dict[str, Any]:
    """Return a PodMonitor's scrape job, in the operator's order, without its interval.

    Fail for fields that are not translated, because they would not be tested.
    """
    spec, (endpoint,) = monitor["spec"], monitor["spec"]["podMetricsEndpoints"]
    # Prometheus 2.42 can't keep classic histograms beside native ones; it stores none of these by
    # default.
    known = {"selector", "sampleLimit", "podMetricsEndpoints", "scrapeClassicHistograms"}
    _refuse_others(spec, known)
    _refuse_others(spec["selector"], {"matchLabels"})
    _refuse_others(endpoint, {"port", "path", "interval", "relabelings", "metricRelabelings"})
    name = monitor["metadata"]["name"]
    return {
        "job_name": f"podMonitor/{namespace}/{name}/0",
        "honor_labels": False,
        "metrics_path": endpoint["path"],
        "sample_limit": spec["sampleLimit"],
        "file_sd_configs": [{"files": [str(pods)], "refresh_interval": "1s"}],
        "relabel_configs": [
            _drop("pod_phase", "(Failed|Succeeded)"),
            _keep("namespace", namespace),
            *(
                {
                    "action": "keep",
                    "source_labels": [
                        f"{META}pod_label_{_sanitized(label)}",
                        f"{META}pod_labelpresent_{_sanitized(label)}",
                    ],
                    "regex": f"({value});true",
                }
                for label, value in sorted(spec["selector"]["matchLabels"].items())
            ),
            _keep("pod_container_port_name", endpoint["port"]),
            _copy("namespace", "namespace"),
            _copy("pod_container_name", "container"),
            _copy("pod_name", "pod"),
            {"target_label": "job", "replacement": f"{namespace}/{name}"},
            {"target_label": "endpoint", "replacement": endpoint["port"]},
            *map(_relabelling, endpoint.get("relabelings", [])),
        ],
        "metric_relabel_configs": [*map(_relabelling, endpoint.get("metricRelabelings", []))],
    }


def _sanitized(label: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def _refuse_others(given: Mapping[str, Any], known: set[str]) -> None:
    assert given.keys() <= known, f"not translated: {sorted(given.keys() - known)}"


def _relabelling(step: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_others(step, set(RELABELLING))
    translated = {RELABELLING[name]: value for name, value in step.items()}
    if "action" in translated:
        translated["action"] = translated["action"].lower()
    return translated


def _keep(source: str, regex: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [META + source], "regex": regex}


def _drop(source: str, regex: str) -> dict[str, Any]:
    return {"action": "drop", "source_labels": [META + source], "regex": regex}


def _copy(source: str, target: str) -> dict[str, Any]:
    return {"source_labels": [META + source], "target_label": target}
