"""What the rules need to know of Kubernetes' own objects: Services, workloads, autoscalers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

WORKLOADS: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"}
)
#: Kinds that run to their end and serve nobody for long.
_UNSCALED: Final = frozenset({"DaemonSet", "Pod"})


@dataclass(frozen=True, slots=True)
class ServicePort:
    """``target`` is a container's port by number or by name."""

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
    #: Empty for a Service whose endpoints somebody else writes.
    selector: Mapping[str, str]
    external_name: str | None

    def port(self, number: int) -> ServicePort | None:
        return next((each for each in self.ports if each.number == number), None)


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of one template; ``replicas`` is None where nothing is said, as under an autoscaler."""

    namespace: str
    name: str
    kind: str
    labels: Mapping[str, str]
    replicas: int | None
    #: Containers' ports by number, each with its name.
    ports: Mapping[int, str | None]

    def carries(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the pods carry all of these labels."""
        return all(self.labels.get(key) == value for key, value in labels.items())


@dataclass(frozen=True, slots=True)
class Autoscaler:
    namespace: str
    name: str
    target_kind: str
    target_name: str
    min_replicas: int

    @property
    def scales(self) -> tuple[str, str, str]:
        """Return the namespace, kind and name of what it scales."""
        return self.namespace, self.target_kind, self.target_name


def read_service(document: Mapping[str, Any], namespace: str) -> Service:
    """Read a Service, as far as it is well-formed."""
    spec = _mapping(document.get("spec"))
    external = spec.get("externalName") if spec.get("type") == "ExternalName" else None
    return Service(
        namespace=namespace,
        name=str(_mapping(document.get("metadata")).get("name")),
        ports=tuple(_service_ports(spec)),
        selector=_labels(spec.get("selector")),
        external_name=external if isinstance(external, str) else None,
    )


def _service_ports(spec: Mapping[str, Any]) -> Iterator[ServicePort]:
    for each in _mappings(spec.get("ports")):
        number = each.get("port")
        if isinstance(number, int):
            target = each.get("targetPort")
            yield ServicePort(
                number=number,
                name=_text(each.get("name")),
                target=target if isinstance(target, (int, str)) else number,
                protocol=_text(each.get("protocol")) or "TCP",
                app_protocol=_text(each.get("appProtocol")),
            )


def read_workload(document: Mapping[str, Any], namespace: str) -> Workload:
    """Read what runs pods, as far as it is well-formed."""
    kind = str(document.get("kind"))
    spec = _mapping(document.get("spec"))
    pod = document if kind == "Pod" else _mapping(spec.get("template"))
    replicas = spec.get("replicas")
    return Workload(
        namespace=namespace,
        name=str(_mapping(document.get("metadata")).get("name")),
        kind=kind,
        labels=_labels(_mapping(pod.get("metadata")).get("labels")),
        replicas=replicas if isinstance(replicas, int) and kind not in _UNSCALED else None,
        ports=dict(_container_ports(_mapping(pod.get("spec")))),
    )


def _container_ports(pod: Mapping[str, Any]) -> Iterator[tuple[int, str | None]]:
    # A native sidecar is an init container, and its ports are reachable all the same.
    for containers in ("initContainers", "containers"):
        for container in _mappings(pod.get(containers)):
            for port in _mappings(container.get("ports")):
                number = port.get("containerPort")
                if isinstance(number, int):
                    yield number, _text(port.get("name"))


def read_autoscaler(document: Mapping[str, Any], namespace: str) -> Autoscaler:
    """Read a HorizontalPodAutoscaler, as far as it is well-formed."""
    spec = _mapping(document.get("spec"))
    target = _mapping(spec.get("scaleTargetRef"))
    least = spec.get("minReplicas")
    return Autoscaler(
        namespace=namespace,
        name=str(_mapping(document.get("metadata")).get("name")),
        target_kind=str(target.get("kind")),
        target_name=str(target.get("name")),
        min_replicas=least if isinstance(least, int) else 1,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _labels(value: Any) -> Mapping[str, str]:
    return {str(key): str(each) for key, each in _mapping(value).items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
