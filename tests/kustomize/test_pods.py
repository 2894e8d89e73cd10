"""The rendered pods: settings, shutdown times, security contexts."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from svc.api.routes import admin_routes
from svc.settings import PREFIX
from svc.telemetry.settings import load_tracing
from svc.telemetry.tracing import FLUSH_SECONDS
from tests.kustomize.installations import WHOLE, Objects
from tests.kustomize.service_pods import environ_of, service_pods, settings_of
from tests.support.manifests import (
    ROOT,
    components,
    containers,
    of_kind,
    render,
    templates,
    the,
)

#: A reserve.
SPARE_SECONDS: Final = 5


def test_the_service_takes_the_settings_that_its_container_gets(objects: Objects) -> None:
    for _, template in service_pods(objects):
        settings = settings_of(objects, template)

        labels = template["metadata"]["labels"]
        assert (settings.version, settings.track) == (labels["version"], labels["track"])
        assert settings.pod == "kv-7d4b9c"
        assert settings.store_url.startswith("redis://kv:")
        assert not settings.injects_faults


def test_a_configmap_of_settings_holds_nothing_else(objects: Objects) -> None:
    for _, template in service_pods(objects):
        (container,) = containers(template)
        for source in container["envFrom"]:
            names = set(the(objects, "ConfigMap", source["configMapRef"]["name"])["data"])
            prefix = "OTEL_" if "otel" in source["configMapRef"]["name"] else PREFIX
            assert all(name.startswith(prefix) for name in names), names


def test_traces_are_sampled_where_there_is_a_collector(objects: Objects) -> None:
    for _, template in service_pods(objects):
        environ = environ_of(objects, template)
        tracing = load_tracing(environ)

        if "OTEL_EXPORTER_OTLP_ENDPOINT" not in environ:
            assert tracing is None
            continue
        assert tracing is not None
        assert (tracing.ratio, tracing.parent_based) == (0.01, True)
        assert environ["OTEL_RESOURCE_ATTRIBUTES"] == (
            "k8s.namespace.name=shop,k8s.pod.name=kv-7d4b9c,k8s.node.name=node-1"
        )


def test_there_is_time_to_drain_before_the_pod_is_killed(objects: Objects) -> None:
    for _, template in service_pods(objects):
        settings = settings_of(objects, template)
        (container,) = containers(template)
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause > 0
        assert settings.drain_seconds > 0

        needed = pause + settings.drain_seconds + settings.shutdown_seconds + FLUSH_SECONDS

        grace = template["spec"]["terminationGracePeriodSeconds"]
        assert grace >= needed + SPARE_SECONDS
        assert f"killed after {grace} s" in (ROOT / "kustomize" / "README.md").read_text()


def test_a_pod_that_leaves_is_known_to_have_left_before_it_stops_listening(
    objects: Objects,
) -> None:
    """Endpoints drop it at once. Those who use its probe notice while it still serves."""
    for _, template in service_pods(objects):
        (container,) = containers(template)
        probe = container["readinessProbe"]

        noticed = probe["periodSeconds"] + probe["timeoutSeconds"]

        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause + settings_of(objects, template).drain_seconds > noticed


def test_the_probes_ask_routes_of_the_admin_port_and_none_asks_redis(objects: Objects) -> None:
    app = web.Application()
    app.add_routes(admin_routes())
    routes = {resource.canonical for resource in app.router.resources()}
    for _, template in service_pods(objects):
        (container,) = containers(template)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        settings = settings_of(objects, template)
        assert ports == {"http": settings.port, "admin": settings.admin_port}

        asked = {
            name: container[name]["httpGet"]
            for name in ("startupProbe", "readinessProbe", "livenessProbe")
        }

        assert {each["port"] for each in asked.values()} == {"admin"}
        assert {each["path"] for each in asked.values()} <= routes
        assert [each["path"] for each in asked.values()] == ["/readyz", "/readyz", "/livez"]


def test_a_blocked_event_loop_is_taken_out_before_it_is_killed(objects: Objects) -> None:
    for _, template in service_pods(objects):
        (container,) = containers(template)
        ready, live = (container[f"{name}Probe"] for name in ("readiness", "liveness"))

        assert ready["periodSeconds"] * ready["failureThreshold"] < (
            live["periodSeconds"] * live["failureThreshold"]
        )


def test_no_pod_gets_a_token_links_or_the_namespaces_own_account(objects: Objects) -> None:
    accounts = {
        each["metadata"]["name"]: each["automountServiceAccountToken"]
        for each in of_kind(objects, "ServiceAccount")
    }
    for _, template in templates(objects):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert accounts[spec["serviceAccountName"]] is False


def test_every_pod_meets_the_restricted_standard_on_a_read_only_root(objects: Objects) -> None:
    for _, template in templates(objects):
        spec = template["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert all("hostPort" not in port for port in container["ports"])
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"configMap", "secret", "emptyDir"}


def test_a_deployment_that_scales_itself_has_no_number_of_replicas(objects: Objects) -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]
        for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    deployments = {each["metadata"]["name"]: each for each in of_kind(objects, "Deployment")}
    assert scaled.keys() <= deployments.keys()
    for name, deployment in deployments.items():
        assert ("replicas" in deployment["spec"]) == (name not in scaled)
    for name, spec in scaled.items():
        assert spec["minReplicas"] >= 2
        # Set to the default explicitly, so that applying it resets what a rollout has set.
        assert spec["behavior"]["scaleDown"]["selectPolicy"] == "Max"
        ((_, template),) = templates([deployments[name]])
        for metric in spec["metrics"]:
            resource = metric["containerResource"]
            (container,) = containers(template)
            assert resource["container"] == container["name"]
            assert resource["name"] in container["resources"]["requests"]


def test_recreate_never_runs_two_releases_and_ramped_never_lacks_a_pod() -> None:
    recreate, ramped = (
        the(render(f"kustomize/strategies/{name}"), "Deployment", "kv")["spec"]
        for name in ("recreate", "ramped")
    )

    assert recreate["strategy"] == {"type": "Recreate"}
    assert ramped["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert ramped["replicas"] >= 4
    assert ramped["progressDeadlineSeconds"] > ramped["minReadySeconds"] >= 20


def test_every_component_is_in_an_environment_or_composed_here() -> None:
    """Make sure that every component is tested."""
    used = {
        part
        for directory in WHOLE
        for part in re.findall(
            r"components/([\w-]+)", (directory / "kustomization.yaml").read_text()
        )
    }

    left = {path.name for path in components("kustomize")} - used
    assert left == {
        "redis-cluster", "redis-external", "jwt", "load", "rollout-job", "rollout-job-hardened",
        "rollout-job-monitoring", "rollout-runner", "rollout-workloads",
    }  # fmt: skip
