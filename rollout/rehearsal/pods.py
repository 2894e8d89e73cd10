"""Which pods of the manifests are run here, and how: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..evidence.counts import Arm
from ..manifests.destination_rule import DestinationRule
from ..manifests.kubernetes import WORKLOADS, Workload, parse_workload
from .environment import ConfigMaps, PodIdentity, read_environment
from .objects import Document, Manifests, namespace_of

#: The image whose command line is known here, by the last part of its name.
TALLYKV: Final = "tallykv"
_STORE: Final = "KV_STORE_URL"
_VERSION: Final = ("app.kubernetes.io/version", "version")
#: Where tallykv listens if nobody says otherwise.
_TRAFFIC_PORT: Final = 8080
_ADMIN_PORT: Final = 9102

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """How the releases are run.

    ``commands`` start another HTTP service than tallykv, which is told its port as ``PORT``;
    ``environ`` is added to what the manifests say. ``replicas`` is the most pods of a workload.
    """

    replicas: int = 1
    commands: Mapping[Arm, Command] = field(default_factory=dict)
    environ: Mapping[Arm, Mapping[str, str]] = field(default_factory=dict)
    tracing: bool = False


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod to be run. ``command`` is None for tallykv; ``store`` tells its store from others."""

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

    @property
    def version(self) -> str:
        return next((self.labels[name] for name in _VERSION if name in self.labels), "unknown")


@dataclass(frozen=True, slots=True)
class PodPlans:
    pods: tuple[PodPlan, ...]
    notes: tuple[str, ...]


def plan_pods(
    manifests: Manifests, subsets: Mapping[str, Arm], options: ReleaseOptions
) -> PodPlans:
    """Plan the pods of all workloads; ``subsets`` says which of them are of which arm."""
    pods: list[PodPlan] = []
    notes: list[str] = []
    maps = ConfigMaps(manifests.latest)
    for document in manifests.latest:
        if document["kind"] not in WORKLOADS:
            continue
        workload = parse_workload(document, namespace_of(document))
        arm = arm_of(workload, manifests.objects.destination_rules, subsets)
        command = options.commands.get(arm) if arm else None
        container = _chosen(document, any_image=command is not None)
        if container is None:
            notes.append(f"not started: {workload.kind} {workload.name}, as it is no {TALLYKV}")
            continue
        replicas = max(1, min(options.replicas, workload.replicas or options.replicas))
        for index in range(replicas):
            identity = _identity(document, workload, index)
            pod, unknown = _plan(workload, container, identity, maps, arm, command, options)
            pods.append(pod)
            if unknown and index == 0:
                notes.append(f"not known here: {', '.join(unknown)} of {workload.name}")
    return PodPlans(tuple(pods), tuple(notes))


def arm_of(
    workload: Workload, rules: Iterable[DestinationRule], subsets: Mapping[str, Arm]
) -> Arm | None:
    """Return whose pods these are, by the DestinationRules' subsets; None if nobody's."""
    for rule in rules:
        for subset in rule.spec.subsets:
            if (
                rule.namespace == workload.namespace
                and subset.name in subsets
                and subset.labels
                and workload.has_labels(subset.labels)
            ):
                return subsets[subset.name]
    return None


def _plan(
    workload: Workload,
    container: Mapping[str, Any],
    identity: PodIdentity,
    maps: ConfigMaps,
    arm: Arm | None,
    command: Command | None,
    options: ReleaseOptions,
) -> tuple[PodPlan, list[str]]:
    found = read_environment(container, identity, maps)
    environ = found.variables
    store = None
    if command is None:
        # Each store that the manifests know apart stays apart: a shadow writes into its own.
        secret = found.secrets.pop(_STORE, None)
        store = f"{secret.namespace}/{secret.name}/{secret.key}" if secret else environ.get(_STORE)
        store = store or "default"
    if not options.tracing:
        environ = {name: each for name, each in environ.items() if not name.startswith("OTEL_")}
    unknown = [*found.unknown, *found.secrets]
    environ = {**environ, **(options.environ.get(arm, {}) if arm else {})}
    if command is None:
        traffic = int(environ.get("KV_PORT", _TRAFFIC_PORT))
        admin: int | None = int(environ.get("KV_ADMIN_PORT", _ADMIN_PORT))
    else:
        traffic, admin = _http_port(workload), None
    pod = PodPlan(
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


def _identity(document: Document, workload: Workload, index: int) -> PodIdentity:
    template = _template(document)
    metadata = template.get("metadata") or {}
    return PodIdentity(
        name=f"{workload.name}-{index}",
        namespace=workload.namespace,
        labels=workload.labels,
        annotations=metadata.get("annotations") or {},
        service_account=template.get("spec", {}).get("serviceAccountName", "default"),
    )


def _chosen(document: Document, *, any_image: bool) -> Mapping[str, Any] | None:
    """Return the container that is run: tallykv's, or the first with a port."""
    containers = (_template(document).get("spec") or {}).get("containers") or []
    for each in containers:
        if _image_name(str(each.get("image", ""))) == TALLYKV:
            return dict(each)
    return next((dict(each) for each in containers if each.get("ports") and any_image), None)


def _image_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _template(document: Document) -> Mapping[str, Any]:
    if document["kind"] == "Pod":
        return document
    return (document.get("spec") or {}).get("template") or {}


def _http_port(workload: Workload) -> int:
    named = [number for number, name in workload.ports.items() if (name or "").startswith("http")]
    return next(iter((*named, *workload.ports)), _TRAFFIC_PORT)
