"""The service's pods among rendered objects, and the settings that they get."""

from __future__ import annotations

import base64
import re
from typing import Any

from svc.settings import Settings, load_settings
from tests.kustomize.installations import Objects
from tests.support.manifests import (
    ROOT,
    containers,
    of_kind,
    templates,
    the,
)


def service_pods(objects: Objects) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the service's Deployments, each with its pod template."""
    found = [
        (owner, template)
        for owner, template in templates(objects)
        if template["metadata"]["labels"]["app.kubernetes.io/name"] == "kv"
    ]
    assert found
    return found


def environ_of(objects: Objects, template: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the service's container, including that of the image."""
    (container,) = containers(template)
    environ = image_environ()
    for source in container["envFrom"]:
        environ |= the(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    fields = {
        "metadata.name": "kv-7d4b9c",
        "metadata.namespace": "shop",
        "spec.nodeName": "node-1",
        **{
            f"metadata.labels['{name}']": value
            for name, value in template["metadata"]["labels"].items()
        },
    }
    for each in container["env"]:
        source = each.get("valueFrom", {})
        if "fieldRef" in source:
            environ[each["name"]] = fields[source["fieldRef"]["fieldPath"]]
        elif "secretKeyRef" in source:
            environ[each["name"]] = secret_value(objects, **source["secretKeyRef"])
        else:
            environ[each["name"]] = re.sub(r"\$\((\w+)\)", lambda m: environ[m[1]], each["value"])
    return environ


def image_environ() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return dict(re.findall(r"(KV_\w+)=(\S+)", text))


def secret_value(objects: Objects, *, name: str, key: str) -> str:
    secrets = [each for each in of_kind(objects, "Secret") if each["metadata"]["name"] == name]
    if not secrets:
        assert (name, key) == ("kv-redis", "url")
        return "redis://kv:made-by-an-operator@redis:6379"
    return base64.b64decode(secrets[0]["data"][key]).decode()


def settings_of(objects: Objects, template: dict[str, Any]) -> Settings:
    return load_settings(environ_of(objects, template), {})
