"""Gateway: the hosts and ports that an ingress gateway listens on.

https://istio.io/latest/docs/reference/config/networking/gateway/
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .field_types import HTTP_PROTOCOLS, TLS_PROTOCOLS, Port, Protocol
from .metadata import IstioObject
from .names import GatewayHost, is_address, is_kubernetes_label
from .not_modelled import NotModelled
from .server_tls import ServerTls
from .strict_model import StrictModel

_UNIX: Final = "unix://"
_ADDRESS: Final = NotModelled("a listen address", "which clients reach it isn't checked")


class ServerPort(StrictModel):
    """A port of 0 is valid for a socket in the file system."""

    number: Annotated[int, Field(ge=0, le=65535)]
    protocol: Annotated[
        Protocol,
        NotModelled(
            "a port for other protocols than HTTP",
            "what it forwards isn't checked",
            frozenset({"TCP", "TLS", "MONGO", "MYSQL", "REDIS", "UDP", "HBONE", "DOUBLE-HBONE"}),
            changes_requests=False,
        ),
    ]
    name: Annotated[str, Field(min_length=1)]
    target_port: Port | None = None


class Server(StrictModel):
    """The hosts of one listener."""

    port: ServerPort
    hosts: Annotated[tuple[GatewayHost, ...], Field(min_length=1)]
    tls: ServerTls | None = None
    name: str | None = None
    bind: Annotated[str | None, _ADDRESS] = None
    default_endpoint: Annotated[
        str | None, NotModelled("defaultEndpoint", "where requests go isn't checked")
    ] = None

    @model_validator(mode="after")
    def _check_port(self) -> Server:
        if self.port.target_port:
            raise field_error(
                Reason.BAD_VALUE,
                "targetPort has no effect on a Gateway; Istio rejects it",
                "remove it",
                ("port", "targetPort"),
            )
        check_bind(self.bind, self.port.number)
        return self

    @model_validator(mode="after")
    def _check_tls_matches_protocol(self) -> Server:
        protocol = self.port.protocol
        if protocol in TLS_PROTOCOLS and self.tls is None:
            raise field_error(
                Reason.MISSING_FIELD,
                f"the server has the protocol {protocol}, but no tls",
                "add tls with mode SIMPLE and a credentialName",
                ("tls",),
            )
        plain = protocol not in TLS_PROTOCOLS and self.tls is not None
        redirects = protocol in HTTP_PROTOCOLS and self.tls is not None and self.tls.passes_through
        if plain and not redirects:
            raise field_error(
                Reason.BAD_VALUE,
                f"the server terminates TLS, but its protocol is {protocol}",
                "set the protocol to HTTPS, or keep only httpsRedirect: true",
                ("tls",),
            )
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the hosts without their namespace prefixes."""
        return tuple(host.rpartition("/")[2] for host in self.hosts)


def check_bind(bind: str | None, port: int) -> None:
    """Raise a field error unless a listener can have the address ``bind`` and the port."""
    path = bind.removeprefix(_UNIX) if bind and bind.startswith(_UNIX) else None
    if path is not None:
        if not path.startswith(("/", "@")) or path.endswith("/"):
            raise field_error(
                Reason.BAD_VALUE,
                f'"{bind}" is not a path',
                "write it like unix:///run/a",
                ("bind",),
            )
        if port:
            raise field_error(
                Reason.BAD_VALUE, "a socket in the file system has no port", "set it to 0",
                ("port", "number"),
            )  # fmt: skip
    else:
        if not port:
            raise field_error(
                Reason.BAD_VALUE, "the port is 0", "set it to 1 up to 65535", ("port", "number")
            )
        if bind and not is_address(bind):
            raise field_error(
                Reason.BAD_VALUE, f'"{bind}" is not an IP address', "write one", ("bind",)
            )


class GatewaySpec(StrictModel):
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    selector: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_port_names(self) -> GatewaySpec:
        seen: set[str] = set()
        for index, server in enumerate(self.servers):
            if server.port.name in seen:
                raise field_error(
                    Reason.BAD_VALUE,
                    f'another server has the port name "{server.port.name}"',
                    "give each server's port its own name",
                    ("servers", index, "port", "name"),
                )
            seen.add(server.port.name)
        return self


class Gateway(IstioObject):
    spec: GatewaySpec

    @model_validator(mode="after")
    def _check_name(self) -> Gateway:
        if not is_kubernetes_label(self.name):
            raise field_error(
                Reason.BAD_VALUE,
                f'"{self.name}" is not the name of a Gateway',
                "write it without dots, in up to 63 characters",
                ("metadata", "name"),
            )
        return self
