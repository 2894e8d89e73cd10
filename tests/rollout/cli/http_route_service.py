"""An example service behind an HTTPRoute of a waypoint, with a Service for each release."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from tests.rollout.cli.example_service import DEPLOYMENT, STEPS, TIMES, ExampleService

COLLECTION: Final = "gateway.networking.k8s.io/v1/httproutes"
_SERVICE: Final = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {selector}
  ports: [{{name: http, port: 8080, targetPort: http, appProtocol: http}}]
"""


def step(namespace: str, percent: int) -> dict[str, Any]:
    """Return the HTTPRoute that gives the canary this percentage."""
    backends = [("kv-stable", 100 - percent), ("kv-canary", percent)]
    rule = {
        "backendRefs": [{"name": each, "port": 8080, "weight": weight} for each, weight in backends]
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "kv", "namespace": namespace},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "kv", "port": 8080}],
            "rules": [rule],
        },
    }


def write_rollout(directory: Path, namespace: str) -> Path:
    """Write the directory of a canary rollout with three steps, and its prerequisites."""
    manifests = _SERVICE.format(name="kv", namespace=namespace, selector="{app: kv}")
    for track, version in (("stable", "1.4.0"), ("canary", "1.5.0")):
        selector = f"{{app: kv, track: {track}}}"
        manifests += _SERVICE.format(name=f"kv-{track}", namespace=namespace, selector=selector)
        manifests += DEPLOYMENT.format(track=track, version=version, namespace=namespace)
    directory.mkdir()
    (directory / "prerequisites.yaml").write_text(manifests)
    plan = f"stable: kv-stable\ncanary: kv-canary\nprerequisites: [prerequisites.yaml]\n{TIMES}"
    (directory / "plan.yaml").write_text(plan)
    for name, percent in STEPS.items():
        (directory / "steps" / name).mkdir(parents=True)
        text = yaml.safe_dump(step(namespace, percent))
        (directory / "steps" / name / "routes.yaml").write_text(text)
    return directory


class HttpRouteService(ExampleService):
    """Its requests are counted by a waypoint, for the Service of each release."""

    reporter: ClassVar[str] = "waypoint"
    collection: ClassVar[str] = COLLECTION

    @property
    def share(self) -> int:
        [rule] = self.document["spec"]["rules"]
        return sum(each["weight"] for each in rule["backendRefs"] if each["name"] == "kv-canary")

    def service(self, workload: str) -> str:
        return workload
