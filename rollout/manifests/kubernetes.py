"""Services, workloads and autoscalers of Kubernetes: only the fields that routing depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .untyped import list_or_empty, mapping_or_empty, text_or_none

WORKLOADS: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"}
)
#: Kinds without a number of replicas.
_UNSCALED: Final = frozenset({"DaemonSet", "Pod"})


@dataclass(frozen=True, slots=True)
class ServicePort:
    """``target`` is the number or the name of a container's port."""

    number: int
    name: str | None
    target: int | str
    protocol: str
    app_protocol: str | None


@dataclass(frozen=True, slots=True)
class Service:
    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    #: Empty if something other than Kubernetes writes the endpoints.
    selector: Mapping[str, str]
    external_name: str | None
    annotations: Mapping[str, str] = field(default_factory=dict)
    #: True for a Service without an address of its own (``clusterIP: None``).
    headless: bool = False

    def port(self, number: int) -> ServicePort | None:
        return next((each for each in self.ports if each.number == number), None)


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of one template; ``replicas`` is None if unset, as it should be with an autoscaler."""

    namespace: str
    name: str
    kind: str
    labels: Mapping[str, str]
    replicas: int | None
    #: The names of the containers' ports, by number.
    ports: Mapping[int, str | None]
    service_account: str = "default"

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Return True if the pods have all of these labels."""
        return all(self.labels.get(key) == value for key, value in labels.items())


@dataclass(frozen=True, slots=True)
class Autoscaler:
    namespace: str
    name: str
    target_kind: str
    target_name: str
    min_replicas: int

    @property
    def target(self) -> tuple[str, str, str]:
        """Return the namespace, kind and name of the workload that it scales."""
        return self.namespace, self.target_kind, self.target_name


def parse_service(document: Mapping[str, Any], namespace: str) -> Service:
    """Parse a Service; ignore malformed fields."""
    spec = mapping_or_empty(document.get("spec"))
    metadata = mapping_or_empty(document.get("metadata"))
    external = spec.get("externalName") if spec.get("type") == "ExternalName" else None
    return Service(
        namespace=namespace,
        name=str(metadata.get("name")),
        ports=tuple(_service_ports(spec)),
        selector=_labels(spec.get("selector")),
        external_name=external if isinstance(external, str) else None,
        annotations=_labels(metadata.get("annotations")),
        headless=spec.get("clusterIP") == "None",
    )


def _service_ports(spec: Mapping[str, Any]) -> Iterator[ServicePort]:
    for each in _mappings(spec.get("ports")):
        number = each.get("port")
        if isinstance(number, int):
            target = each.get("targetPort")
            yield ServicePort(
                number=number,
                name=text_or_none(each.get("name")),
                target=target if isinstance(target, (int, str)) else number,
                protocol=text_or_none(each.get("protocol")) or "TCP",
                app_protocol=text_or_none(each.get("appProtocol")),
            )


def parse_workload(document: Mapping[str, Any], namespace: str) -> Workload:
    """Parse an object that has a pod template, or a Pod; ignore malformed fields."""
    kind = str(document.get("kind"))
    spec = mapping_or_empty(document.get("spec"))
    pod = document if kind == "Pod" else mapping_or_empty(spec.get("template"))
    replicas = spec.get("replicas")
    return Workload(
        namespace=namespace,
        name=str(mapping_or_empty(document.get("metadata")).get("name")),
        kind=kind,
        labels=_labels(mapping_or_empty(pod.get("metadata")).get("labels")),
        replicas=replicas if isinstance(replicas, int) and kind not in _UNSCALED else None,
        ports=dict(_container_ports(mapping_or_empty(pod.get("spec")))),
        service_account=text_or_none(mapping_or_empty(pod.get("spec")).get("serviceAccountName"))
        or "default",
    )


def _container_ports(pod: Mapping[str, Any]) -> Iterator[tuple[int, str | None]]:
    # A native sidecar is an init container, and callers can reach its ports too.
    for containers in ("initContainers", "containers"):
        for container in _mappings(pod.get(containers)):
            for port in _mappings(container.get("ports")):
                number = port.get("containerPort")
                if isinstance(number, int):
                    yield number, text_or_none(port.get("name"))


def parse_autoscaler(document: Mapping[str, Any], namespace: str) -> Autoscaler:
    """Parse a HorizontalPodAutoscaler; ignore malformed fields."""
    spec = mapping_or_empty(document.get("spec"))
    target = mapping_or_empty(spec.get("scaleTargetRef"))
    least = spec.get("minReplicas")
    return Autoscaler(
        namespace=namespace,
        name=str(mapping_or_empty(document.get("metadata")).get("name")),
        target_kind=str(target.get("kind")),
        target_name=str(target.get("name")),
        min_replicas=least if isinstance(least, int) else 1,
    )


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in list_or_empty(value) if isinstance(each, dict))


def _labels(value: Any) -> Mapping[str, str]:
    return {str(key): str(each) for key, each in mapping_or_empty(value).items()}
