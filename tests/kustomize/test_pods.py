"""The rendered pods: settings, shutdown times, resources, security contexts."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from svc.api.routes import admin_routes
from svc.serving.heads import MAX_HEAD_BYTES
from svc.serving.listener import ADMIN_CONNECTIONS
from svc.settings import PREFIX, Settings, load_settings
from svc.stores.batcher import MAX_IN_FLIGHT
from svc.stores.watching.expiries import MOST as MOST_EXPIRIES
from svc.stores.watching.hub import MOST_REMEMBERED
from svc.stores.wire import MOST_READ_BYTES
from svc.telemetry.logs import MAX_QUEUED
from svc.telemetry.settings import load_tracing
from svc.telemetry.tracing import FLUSH_SECONDS
from tests.kustomize.installations import WHOLE, Objects
from tests.support.manifests import (
    ROOT,
    components,
    compose,
    containers,
    of_kind,
    render,
    templates,
    the,
    title,
)

#: A reserve.
SPARE_SECONDS: Final = 5
MIB: Final = 2**20
#: Memory of the process without any client, with tracing.
IDLE_BYTES: Final = 70 * MIB
#: What a connection takes beside its head, which the parser and the request each keep.
CONNECTION_BYTES: Final = 10 * 1024
HEAD_COPIES: Final = 2
#: The most that a log line and a span take in their queues, and what libraries cache.
LINE_BYTES: Final = 2 * 1024
#: A name of up to 521 bytes, in a dict and in a heap.
WATCHED_NAME_BYTES: Final = 1024
SPAN_BYTES: Final = 20 * 1024
CACHED_BYTES: Final = 6 * MIB
#: What the kubelet keeps of a container's log by default: five files of 10 MiB.
LOG_BYTES: Final = 5 * 10 * MIB
#: How often a byte of the budget is in memory while it is parsed and sent on.
COPIES: Final = 4


@pytest.fixture(
    scope="module",
    params=[*WHOLE, "redis-cluster", "redis-external"],
    ids=lambda param: getattr(param, "name", param),
)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """Each overlay, and one for each component that no overlay uses."""
    if isinstance(request.param, Path):
        return render(request.param)
    parts = [f"kustomize/components/{part}" for part in (request.param, "otel")]
    return compose(tmp_path_factory.mktemp("overlay"), *parts)


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


def test_all_that_clients_can_make_a_pod_keep_fits_into_its_memory(objects: Objects) -> None:
    for _, template in service_pods(objects):
        settings = settings_of(objects, template)
        (container,) = containers(template)
        limit = bytes_of(container["resources"]["limits"]["memory"])
        tracing = load_tracing(environ_of(objects, template))

        connections = settings.max_connections + ADMIN_CONNECTIONS
        kept = {
            "connections": connections * (CONNECTION_BYTES + HEAD_COPIES * MAX_HEAD_BYTES),
            "bodies, values, answers": COPIES * settings.max_buffered_bytes,
            "reads": MAX_IN_FLIGHT * MOST_READ_BYTES,
            "watches": (MOST_EXPIRIES + MOST_REMEMBERED) * WATCHED_NAME_BYTES,
            "log lines": MAX_QUEUED * LINE_BYTES,
            "spans": SPAN_BYTES * (0 if tracing is None else tracing.max_queue_size),
            "caches": CACHED_BYTES,
        }
        assert IDLE_BYTES + sum(kept.values()) <= limit, kept


def test_redis_has_memory_to_spare_beside_what_it_may_hold(objects: Objects) -> None:
    for owner, template in templates(objects):
        for container in containers(template):
            if container["name"] == "redis":
                limit = bytes_of(container["resources"]["limits"]["memory"])
                flag, may_hold = container["args"]
                assert (flag, title(owner)) == ("--maxmemory", "StatefulSet/redis")
                assert bytes_of(may_hold) <= limit / 2


def bytes_of(text: str) -> int:
    units = {"mb": MIB, "Mi": MIB, "Gi": 1024 * MIB}
    return int(text[:-2]) * units[text[-2:]]


def test_every_container_has_requests_and_limits_and_its_memory_to_itself(
    objects: Objects,
) -> None:
    for _, template in templates(objects):
        for container in containers(template):
            requests, limits = (container["resources"][name] for name in ("requests", "limits"))
            assert requests.keys() == limits.keys() == {"cpu", "memory", "ephemeral-storage"}
            assert requests["memory"] == limits["memory"]


def test_a_pods_log_and_its_scratch_files_fit_into_its_ephemeral_storage(objects: Objects) -> None:
    """The kubelet counts both, and evicts a pod that goes beyond its limits."""
    for owner, template in templates(objects):
        limits = [each["resources"]["limits"] for each in containers(template)]
        files = sum(
            bytes_of(volume["emptyDir"]["sizeLimit"])
            for volume in template["spec"].get("volumes", [])
            if "emptyDir" in volume
        )

        needed = len(limits) * LOG_BYTES + files

        assert sum(bytes_of(each["ephemeral-storage"]) for each in limits) > needed, title(owner)


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
