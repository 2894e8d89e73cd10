"""Sidecar: which hosts the proxy of a pod can reach.

https://istio.io/latest/docs/reference/config/networking/sidecar/
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from .destinations import Destination
from .field_errors import Reason, field_error
from .field_types import AnyProtocol, Port
from .gateway import check_bind
from .metadata import IstioObject, LabelSelector
from .names import DnsLabel, SidecarHost, is_domain
from .not_modelled import NotModelled
from .server_tls import ServerTls
from .strict_model import StrictModel
from .traffic_policy import ConnectionPool

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]
_LOCAL: Final = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\])?:(\d{1,5})|unix://[/@].*[^/]")
_INBOUND: Final = "what reaches the pod isn't checked"


class SidecarPort(StrictModel):
    number: Annotated[int, Field(ge=0, le=65535)] = 0
    protocol: AnyProtocol = None
    name: DnsLabel | None = None
    target_port: Port | None = None


def _check_port(port: SidecarPort, bind: str | None) -> None:
    if port.target_port:
        raise field_error(
            Reason.BAD_VALUE,
            "targetPort has no effect on a Sidecar; Istio rejects it",
            "remove it",
            ("port", "targetPort"),
        )
    check_bind(bind, port.number)


class EgressListener(StrictModel):
    hosts: Annotated[tuple[SidecarHost, ...], Field(min_length=1)]
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode = "DEFAULT"

    @model_validator(mode="after")
    def _check_listener(self) -> EgressListener:
        if self.port:
            _check_port(self.port, self.bind)
            if not self.port.number and self.capture_mode == "IPTABLES":
                raise field_error(
                    Reason.BAD_VALUE,
                    "a socket in the file system can't be captured",
                    "set captureMode to DEFAULT or NONE",
                    ("captureMode",),
                )
        return self


class IngressListener(StrictModel):
    port: SidecarPort
    bind: str | None = None
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str | None = None
    tls: ServerTls | None = None
    connection_pool: ConnectionPool | None = None

    @model_validator(mode="after")
    def _check_listener(self) -> IngressListener:
        _check_port(self.port, self.bind)
        local = _LOCAL.fullmatch(self.default_endpoint or ":1")
        if local is None or (local[1] and not 1 <= int(local[1]) <= 65535):
            raise field_error(
                Reason.BAD_VALUE,
                f'"{self.default_endpoint}" is not an address of the pod',
                "write 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///PATH",
                ("defaultEndpoint",),
            )
        tls = self.tls
        refused = tls and (
            tls.subject_alt_names
            or tls.https_redirect
            or tls.credential_name
            or tls.mode in {"ISTIO_MUTUAL", "AUTO_PASSTHROUGH"}
        )
        if refused:
            raise field_error(
                Reason.BAD_VALUE,
                "a Sidecar terminates TLS only with certificate files",
                "set mode SIMPLE or MUTUAL with serverCertificate and privateKey",
                ("tls",),
            )
        return self


class OutboundTrafficPolicy(StrictModel):
    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Annotated[
        Destination | None,
        NotModelled("an egress proxy for unknown hosts", "where their requests go isn't checked"),
    ] = None

    @model_validator(mode="after")
    def _check_proxy(self) -> OutboundTrafficPolicy:
        if proxy := self.egress_proxy:
            if self.mode != "ALLOW_ANY":
                raise field_error(
                    Reason.BAD_VALUE,
                    "an egressProxy needs the mode ALLOW_ANY",
                    "set mode: ALLOW_ANY",
                    ("mode",),
                )
            if not is_domain(proxy.host) or proxy.port is None:
                raise field_error(
                    Reason.MISSING_FIELD,
                    "an egressProxy needs a domain name and a port",
                    "set host and port.number",
                    ("egressProxy", "port"),
                )
        return self


class SidecarSpec(StrictModel):
    workload_selector: LabelSelector | None = None
    egress: tuple[EgressListener, ...] = ()
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    ingress: Annotated[
        tuple[IngressListener, ...], NotModelled("custom inbound listeners", _INBOUND)
    ] = ()
    inbound_connection_pool: Annotated[
        ConnectionPool | None, NotModelled("inbound connection limits", _INBOUND)
    ] = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> SidecarSpec:
        blocks = (self.outbound_traffic_policy, self.inbound_connection_pool)
        if not (self.egress or self.ingress or any(each is not None for each in blocks)):
            raise field_error(
                Reason.MISSING_FIELD,
                "the Sidecar is empty; Istio's webhook rejects that",
                "add egress, ingress or outboundTrafficPolicy",
                ("egress",),
            )
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> SidecarSpec:
        for name in ("egress", "ingress"):
            seen: set[object] = set()
            listeners: tuple[EgressListener | IngressListener, ...] = getattr(self, name)
            for index, each in enumerate(listeners):
                if each.port is None and index + 1 < len(listeners):
                    raise field_error(
                        Reason.BAD_VALUE,
                        "only the last listener may have no port",
                        "add its port, or move it to the end",
                        (name, index),
                    )
                key = (each.port.number or each.bind) if each.port else None
                if key in seen:
                    raise field_error(
                        Reason.BAD_VALUE,
                        "another listener has the same port",
                        "give each listener its own port",
                        (name, index, "port"),
                    )
                seen.add(key)
        return self


class Sidecar(IstioObject):
    spec: SidecarSpec = Field(default_factory=SidecarSpec, validate_default=True)
