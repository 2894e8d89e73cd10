"""The overlays of docs/how-to/secure.md: tokens, and TLS with probes that speak it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from svc.settings import load_settings
from tests.support.manifests import ROOT, containers, render, schema_error, templates, the

PAGE = ROOT / "docs" / "how-to" / "secure.md"


def overlay(number: int, folder: Path) -> list[dict[str, Any]]:
    """Render the page's overlay of this number on the base with its PodMonitor."""
    written = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[number])
    written |= {
        "namespace": "shop",
        "resources": [os.path.relpath(ROOT / "kustomize/base", folder)],
        "components": [os.path.relpath(ROOT / "kustomize/components/monitoring", folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(written))
    return render(folder)


@pytest.mark.parametrize(("number", "name"), [(0, "tokens"), (1, "tls")])
def test_an_overlay_of_the_page_mounts_what_its_settings_name(
    number: int, name: str, tmp_path: Path
) -> None:
    objects = overlay(number, tmp_path)

    [(deployment, template)] = templates(objects)
    [container] = containers(template)
    [mount] = [each for each in container["volumeMounts"] if each["name"] == name]
    reference = container["envFrom"][0]["configMapRef"]["name"]
    settings = the(objects, "ConfigMap", reference)["data"]
    files = [text for key, text in settings.items() if key.endswith("_FILE")]
    assert schema_error(deployment, "latest") is None
    assert files
    assert all(text.startswith(mount["mountPath"] + "/") for text in files)
    load_settings(settings, {})


def test_with_tls_everything_that_asks_the_admin_port_speaks_it(tmp_path: Path) -> None:
    objects = overlay(1, tmp_path)

    [(_, template)] = templates(objects)
    [container] = containers(template)
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness")}
    probes["liveness"] = container["livenessProbe"]["httpGet"]
    assert probes == {
        "startup": {"path": "/readyz", "port": "admin", "scheme": "HTTPS"},
        "readiness": {"path": "/readyz", "port": "admin", "scheme": "HTTPS"},
        "liveness": {"path": "/livez", "port": "admin", "scheme": "HTTPS"},
    }
    [endpoint] = the(objects, "PodMonitor", "kv")["spec"]["podMetricsEndpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", "kv")
