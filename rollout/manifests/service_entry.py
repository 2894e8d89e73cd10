"""ServiceEntry, WorkloadEntry and WorkloadGroup: what Istio knows besides Services and pods.

https://istio.io/latest/docs/reference/config/networking/service-entry/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .field_types import HTTP_PROTOCOLS, TLS_PROTOCOLS, AnyProtocol, EntryExportTo, Port, Unsigned
from .json_path import PathSegments
from .metadata import IstioObject, LabelSelector
from .names import DnsLabel, HeaderName, Host, Labels, Subnet, is_address, is_domain
from .strict_model import StrictModel

_UNIX: Final = "unix://"


class EntryPort(StrictModel):
    number: Port
    name: Annotated[DnsLabel, Field(max_length=256)]
    protocol: AnyProtocol = None
    target_port: Port | None = None


class Endpoint(StrictModel):
    """A workload outside the cluster: its address, and its labels, as a pod has them."""

    address: Annotated[str, Field(max_length=256)] | None = None
    ports: Annotated[dict[DnsLabel, Port], Field(max_length=128)] = Field(default_factory=dict)
    labels: Annotated[Labels, Field(max_length=256)] = Field(default_factory=dict)
    network: str | None = None
    locality: str | None = None
    weight: Unsigned | None = None
    service_account: Annotated[str, Field(max_length=253)] | None = None

    def check_address(self, at: PathSegments, *, named: bool) -> None:
        """Raise a field error for a bad address; only with ``named`` it may be a domain name."""
        address = self.address or ""
        path = address.removeprefix(_UNIX) if address.startswith(_UNIX) else None
        if path is not None:
            valid = path.startswith(("/", "@")) and not path.endswith("/") and not self.ports
        else:
            valid = is_address(address) or (named and is_domain(address))
        if not address and self.network:
            return  # Istio then sends requests through the network's gateway.
        if not valid:
            raise field_error(
                Reason.BAD_VALUE if address else Reason.MISSING_FIELD,
                f'"{address}" is not an address of an endpoint' if address else "it is missing",
                "write an IP address" + (" or a domain name" if named else ""),
                (*at, "address"),
            )


class WorkloadEntrySpec(Endpoint):
    @model_validator(mode="after")
    def _check_own_address(self) -> WorkloadEntrySpec:
        self.check_address((), named=True)
        return self


class WorkloadEntry(IstioObject):
    spec: WorkloadEntrySpec


class ServiceEntrySpec(StrictModel):
    hosts: Annotated[tuple[Host, ...], Field(min_length=1, max_length=256)]
    addresses: Annotated[tuple[Subnet, ...], Field(max_length=256)] = ()
    ports: Annotated[tuple[EntryPort, ...], Field(max_length=256)] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] | None = None
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=4096)] = ()
    workload_selector: LabelSelector | None = None
    export_to: EntryExportTo = ("*",)
    subject_alt_names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_hosts(self) -> ServiceEntrySpec:
        if "*" in self.hosts:
            raise _bad("* is not a host of a ServiceEntry", "write *.DOMAIN", "hosts")
        by_dns = self.resolution in {"DNS", "DNS_ROUND_ROBIN"}
        if by_dns and not self.endpoints and not all(map(is_domain, self.hosts)):
            raise _bad("DNS finds no address of a wildcard host", "add endpoints", "hosts")
        plain = any(
            (port.protocol or "TCP") not in HTTP_PROTOCOLS | TLS_PROTOCOLS for port in self.ports
        )
        if self.resolution != "NONE" and len(self.hosts) > 1 and plain:
            raise _bad(
                "several hosts can't share a port that is neither HTTP nor TLS",
                "write a ServiceEntry for each host",
                "hosts",
            )
        ranges = any("/" in each for each in self.addresses)
        if ranges and self.resolution not in {"NONE", "STATIC"}:
            raise _bad("a range of addresses excludes DNS", "set resolution: NONE", "addresses")
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> ServiceEntrySpec:
        for name in ("name", "number"):
            values = [getattr(port, name) for port in self.ports]
            if len(set(values)) < len(values):
                raise _bad(f"two ports have the same {name}", "remove one of them", "ports")
        names = {port.name for port in self.ports}
        for index, endpoint in enumerate(self.endpoints):
            for name in endpoint.ports.keys() - names:
                raise field_error(
                    Reason.BAD_VALUE,
                    f'the ServiceEntry has no port "{name}"',
                    f"use one of {', '.join(sorted(names))}",
                    ("endpoints", index, "ports", name),
                )
        return self

    @model_validator(mode="after")
    def _check_endpoints(self) -> ServiceEntrySpec:
        if self.workload_selector is not None and self.endpoints:
            raise _bad("endpoints and workloadSelector exclude each other", "keep one", "endpoints")
        if self.endpoints and self.resolution == "NONE":
            raise _bad("with resolution NONE there are no endpoints", "set STATIC", "endpoints")
        if self.resolution == "DNS_ROUND_ROBIN" and len(self.endpoints) > 1:
            raise _bad("DNS_ROUND_ROBIN has only one endpoint", "set DNS", "endpoints")
        for index, endpoint in enumerate(self.endpoints):
            endpoint.check_address(("endpoints", index), named=self.resolution != "STATIC")
        return self


def _bad(what: str, remedy: str, field: str) -> Exception:
    return field_error(Reason.BAD_VALUE, what, remedy, (field,))


class ServiceEntry(IstioObject):
    spec: ServiceEntrySpec


class GroupMetadata(StrictModel):
    labels: Annotated[Labels, Field(max_length=256)] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], Field(max_length=256)] = Field(default_factory=dict)


class ProbeHeader(StrictModel):
    name: HeaderName | None = None
    value: str | None = None


class HttpProbe(StrictModel):
    path: str | None = None
    port: Port
    host: str | None = None
    scheme: Literal["HTTP", "HTTPS", ""] | None = None
    http_headers: tuple[ProbeHeader, ...] = ()


class TcpProbe(StrictModel):
    host: str | None = None
    port: Port


class ExecProbe(StrictModel):
    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class GrpcProbe(StrictModel):
    port: Unsigned | None = None
    service: str | None = None


Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]


class WorkloadProbe(StrictModel):
    initial_delay_seconds: Whole | None = None
    timeout_seconds: Whole | None = None
    period_seconds: Whole | None = None
    success_threshold: Whole | None = None
    failure_threshold: Whole | None = None
    http_get: HttpProbe | None = None
    tcp_socket: TcpProbe | None = None
    exec: ExecProbe | None = None
    grpc: GrpcProbe | None = None

    @model_validator(mode="after")
    def _check_one_method(self) -> WorkloadProbe:
        methods: list[Any] = [self.http_get, self.tcp_socket, self.exec, self.grpc]
        if sum(each is not None for each in methods) != 1:
            raise field_error(
                Reason.BAD_VALUE,
                "a probe has exactly one of httpGet, tcpSocket, exec and grpc",
                "keep one of them",
            )
        return self


class WorkloadGroupSpec(StrictModel):
    """The template has no address: each workload of the group brings its own."""

    metadata: GroupMetadata | None = None
    template: Endpoint
    probe: WorkloadProbe | None = None


class WorkloadGroup(IstioObject):
    spec: WorkloadGroupSpec
