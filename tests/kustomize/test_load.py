"""The load test's Job has every file that locust needs, and no permissions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.kustomize.installations import Objects
from tests.support.manifests import ROOT, compose, containers, schema_error, templates, the

COMPONENT: Final = "kustomize/components/load"
LIST_SECONDS: Final = 300


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return compose(tmp_path_factory.mktemp("overlay"), COMPONENT)


def template_of(objects: Objects) -> dict[str, Any]:
    ((_, template),) = templates([the(objects, "Job", "kv-load")])
    return template


def test_locust_starts_from_the_files_that_the_pod_gets(objects: Objects, tmp_path: Path) -> None:
    (files,) = [
        each["configMap"]
        for each in template_of(objects)["spec"]["volumes"]
        if each["name"] == "files"
    ]
    contents = the(objects, "ConfigMap", files["name"])["data"]
    for item in files["items"]:
        path = tmp_path / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents[item["key"]])
    assert {item["key"] for item in files["items"]} == contents.keys()

    listed = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LIST_SECONDS,
        check=False,
    )

    assert listed.returncode == 0, listed.stderr
    assert {"Entries", "HotCounter", "Tasks"} <= set(listed.stdout.split())
    assert (tmp_path / "loadtest" / "thresholds.toml").exists()


def test_its_settings_are_options_that_there_are(objects: Objects) -> None:
    (container,) = containers(template_of(objects))
    (source,) = container["envFrom"]
    settings = the(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    arguments = (ROOT / "loadtest" / "arguments.py").read_text()

    ours = {name for name in settings if not name.startswith("LOCUST_")}

    assert all(f'"{name}"' in arguments for name in ours)
    services = [each["metadata"]["name"] for each in objects if each["kind"] == "Service"]
    assert settings["LOCUST_HOST"].removeprefix("http://").partition(":")[0] in services
    (port,) = container["ports"]
    assert settings["LOAD_METRICS_PORT"] == str(port["containerPort"])


def test_the_pod_meets_the_restricted_standard_and_ends(objects: Objects) -> None:
    job, template = the(objects, "Job", "kv-load"), template_of(objects)
    spec = template["spec"]

    assert schema_error(job, "1.33") is None
    assert job["spec"]["backoffLimit"] == 0
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(template):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}
    stop = next(each for each in containers(template)[0]["args"] if "--stop-timeout" in each)
    assert spec["terminationGracePeriodSeconds"] > int(stop.partition("=")[2])


def test_no_service_sends_the_job_anything(objects: Objects) -> None:
    labels = template_of(objects)["metadata"]["labels"]

    for each in objects:
        if each["kind"] == "Service":
            assert not each["spec"]["selector"].items() <= labels.items()


def test_the_image_is_the_locust_that_is_tested(objects: Objects) -> None:
    from importlib.metadata import version

    (container,) = containers(template_of(objects))
    assert container["image"] == f"locust:{version('locust')}"
    assert yaml.safe_load((ROOT / COMPONENT / "kustomization.yaml").read_text())["kind"] == (
        "Component"
    )
