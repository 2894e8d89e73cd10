"""Which pods of the manifests run, and with which command, ports and variables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..envoy.configuration import Objects
from ..evidence.counts import Arm
from ..manifests.hosts import ServiceName
from ..manifests.kubernetes import WORKLOADS, Workload, parse_workload
from ..plan.releases import Releases
from .applied_manifests import AppliedManifests, Document, namespace_of
from .container_environment import ConfigMaps, PodIdentity, read_environment
from .stubs import (
    ELSEWHERE,
    STUB,
    hosts_elsewhere,
    reached_workloads,
    service_ports,
    stub_environ,
)

#: The image whose command line the rehearsal knows, by the last part of its name.
TALLYKV: Final = "tallykv"
_STORE: Final = "KV_STORE_URL"
_VERSION_LABELS: Final = ("app.kubernetes.io/version", "version")
#: tallykv's default ports.
_TRAFFIC_PORT: Final = 8080
_ADMIN_PORT: Final = 9102

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodOptions:
    """How to run the pods.

    ``commands`` replace tallykv by another HTTP service, which listens on the port in ``PORT``.
    ``stub`` replaces it by a stub where there is no command, as it always is with other images.
    ``environ`` is added to the variables of the manifests. ``replicas`` is the largest number of
    pods per workload.
    """

    replicas: int = 1
    commands: Mapping[Arm, Command] = field(default_factory=dict)
    environ: Mapping[Arm, Mapping[str, str]] = field(default_factory=dict)
    stub: bool = False


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod to run.

    ``command`` is None for tallykv. ``other_ports`` lead to the same process. ``store`` identifies
    the Redis that the manifests give the pod: pods with the same value share their data. It is None
    for another service.
    """

    namespace: str
    workload: str
    name: str
    labels: Mapping[str, str]
    container: str
    arm: Arm | None
    command: Command | None
    environ: Mapping[str, str]
    traffic_port: int
    admin_port: int | None
    store: str | None
    other_ports: tuple[int, ...] = ()

    @property
    def version(self) -> str:
        return version_of(self.labels) or "unknown"


_ELSEWHERE_POD: Final = PodSpec(
    namespace=ELSEWHERE.namespace,
    workload=ELSEWHERE.workload,
    name=ELSEWHERE.workload,
    labels={},
    container=ELSEWHERE.workload,
    arm=None,
    command=STUB,
    environ=stub_environ(workload=None),
    traffic_port=ELSEWHERE.port,
    admin_port=None,
    store=None,
)


@dataclass(frozen=True, slots=True)
class PodSpecs:
    """The pods, and notes on workloads and variables that the rehearsal leaves out."""

    pods: tuple[PodSpec, ...]
    notes: tuple[str, ...]


def version_of(labels: Mapping[str, str]) -> str | None:
    return next((labels[name] for name in _VERSION_LABELS if name in labels), None)


def build_pod_specs(
    manifests: AppliedManifests,
    releases: Releases,
    options: PodOptions,
    hosts: frozenset[str] = frozenset(),
) -> PodSpecs:
    """Return the pods of all workloads that run; ``hosts`` are those to which routes lead."""
    pods: list[PodSpec] = []
    notes: list[str] = []
    objects = manifests.objects
    reached = reached_workloads(objects, hosts)
    stubs: list[str] = []
    config_maps = ConfigMaps(manifests.documents)
    for document in manifests.documents:
        if document["kind"] not in WORKLOADS:
            continue
        workload = parse_workload(document, namespace_of(document))
        arm = arm_of(workload, objects, releases)
        command = options.commands.get(arm) if arm else None
        container = _choose_container(document, any_image=command is not None)
        if not command and (options.stub or container is None):
            if (workload.namespace, workload.name) in reached:
                container, command = _choose_container(document, any_image=True) or {}, STUB
                stubs.append(workload.name)
            elif options.stub:
                continue
        if container is None:
            notes.append(
                f"not started: {workload.kind} {workload.name}: its image is not {TALLYKV}"
            )
            continue
        replicas = max(1, min(options.replicas, workload.replicas or options.replicas))
        for index in range(replicas):
            identity = _identity(document, workload, index)
            pod, unknown = _build_pod(
                workload, container, identity, config_maps, arm, command, options
            )
            pods.append(_at_all_ports(pod, (*workload.ports, *service_ports(workload, objects))))
            if unknown and index == 0:
                notes.append(f"not set: {', '.join(unknown)} of {workload.name}")
    if elsewhere := hosts_elsewhere(objects, hosts):
        pods.append(_ELSEWHERE_POD)
        stubs += elsewhere
    if stubs:
        notes.append(f"replaced by a stub that returns its requests: {', '.join(stubs)}")
    return PodSpecs(tuple(pods), tuple(notes))


def _at_all_ports(pod: PodSpec, ports: tuple[int, ...]) -> PodSpec:
    """Return the pod; a stub answers at all of these ports."""
    return replace(pod, other_ports=ports) if pod.command is STUB else pod


def arm_of(workload: Workload, objects: Objects, releases: Releases) -> Arm | None:
    """Return the arm whose subset or Service selects the workload's pods; None for neither."""
    for rule in objects.destination_rules:
        for subset in rule.spec.subsets:
            if (
                rule.namespace == workload.namespace
                and subset.name in releases.names
                and subset.labels
                and workload.has_labels(subset.labels)
            ):
                return releases.names[subset.name]
    arms = {
        arm
        for each in objects.services
        if each.namespace == workload.namespace
        and each.selector
        and workload.has_labels(each.selector)
        and (arm := releases.hosts.get(ServiceName(each.namespace, each.name).host))
    }
    # Pods that both Services select belong to neither release.
    return arms.pop() if len(arms) == 1 else None


def _build_pod(
    workload: Workload,
    container: Mapping[str, Any],
    identity: PodIdentity,
    config_maps: ConfigMaps,
    arm: Arm | None,
    command: Command | None,
    options: PodOptions,
) -> tuple[PodSpec, list[str]]:
    """Return a pod, and the variables whose values are unknown."""
    found = read_environment(container, identity, config_maps)
    store = None
    if command is None:
        # Stores that are separate in the manifests stay separate: a shadow writes to its own.
        secret = found.secrets.pop(_STORE, None)
        in_secret = secret and f"{secret.namespace}/{secret.name}/{secret.key}"
        store = in_secret or found.variables.get(_STORE) or "default"
    unknown = [*found.unknown, *found.secrets]
    # No collector runs here that would take the traces.
    untraced = {
        name: each for name, each in found.variables.items() if not name.startswith("OTEL_")
    }
    environ = {**untraced, **(options.environ.get(arm, {}) if arm else {})}
    if command is STUB:
        unknown = []
        environ |= stub_environ(
            workload=workload.name,
            namespace=workload.namespace,
            pod=identity.name,
            labels=workload.labels,
            version=version_of(workload.labels),
            track=arm,
        )
    if command is None:
        traffic = int(environ.get("KV_PORT", _TRAFFIC_PORT))
        admin: int | None = int(environ.get("KV_ADMIN_PORT", _ADMIN_PORT))
    else:
        traffic, admin = _http_port(workload), None
    pod = PodSpec(
        namespace=workload.namespace,
        workload=workload.name,
        name=identity.name,
        labels=workload.labels,
        container=str(container.get("name")),
        arm=arm,
        command=command,
        environ=environ,
        traffic_port=traffic,
        admin_port=admin,
        store=store,
    )
    return pod, unknown


def has_tallykv(documents: Iterable[Document]) -> bool:
    """Return True if a workload has a container of tallykv's image."""
    return any(
        each["kind"] in WORKLOADS and _choose_container(each, any_image=False) is not None
        for each in documents
    )


def _identity(document: Document, workload: Workload, index: int) -> PodIdentity:
    template = _pod_template(document)
    metadata = template.get("metadata") or {}
    return PodIdentity(
        name=f"{workload.name}-{index}",
        namespace=workload.namespace,
        labels=workload.labels,
        annotations=metadata.get("annotations") or {},
        service_account=template.get("spec", {}).get("serviceAccountName", "default"),
    )


def _choose_container(document: Document, *, any_image: bool) -> Mapping[str, Any] | None:
    """Return the container of tallykv's image, else with ``any_image`` the first with a port."""
    containers = (_pod_template(document).get("spec") or {}).get("containers") or []
    for each in containers:
        if _image_name(str(each.get("image", ""))) == TALLYKV:
            return dict(each)
    return next((dict(each) for each in containers if each.get("ports") and any_image), None)


def _image_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _pod_template(document: Document) -> Mapping[str, Any]:
    if document["kind"] == "Pod":
        return document
    return (document.get("spec") or {}).get("template") or {}


def _http_port(workload: Workload) -> int:
    """Return the first port whose name starts with ``http``, else the first, else 8080."""
    named = [number for number, name in workload.ports.items() if (name or "").startswith("http")]
    return next(iter((*named, *workload.ports)), _TRAFFIC_PORT)
