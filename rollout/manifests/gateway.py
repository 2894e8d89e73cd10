"""Gateway: which hosts and ports the edge listens for."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .metadata import IstioObject
from .part import Part, unsupported
from .refusals import Reason, refuse
from .values import Port

_HTTP: Final = frozenset({"HTTP", "HTTP2", "GRPC", "HTTPS"})
_OPAQUE: Final = frozenset({"TCP", "TLS", "MONGO", "MYSQL", "REDIS", "GRPC-WEB"})
_TLS_MODES: Final = frozenset({"SIMPLE", "MUTUAL"})
_OTHER_TLS_MODES: Final = frozenset(
    {"PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"}
)
_REMEDY: Final = "keep it in a Secret and name that with credentialName"


def _protocol(value: str) -> str:
    if value in _OPAQUE:
        raise refuse(
            Reason.UNSUPPORTED_VALUE, f"protocol {value}", "only HTTP, HTTPS, HTTP2 and GRPC are"
        )
    if value not in _HTTP:
        raise refuse(
            Reason.BAD_VALUE, f'"{value}" is no protocol', "use HTTP, HTTPS, HTTP2 or GRPC"
        )
    return value


def _tls_mode(value: str) -> str:
    if value in _OTHER_TLS_MODES:
        raise refuse(Reason.UNSUPPORTED_VALUE, f"TLS mode {value}", "only SIMPLE and MUTUAL are")
    if value not in _TLS_MODES:
        raise refuse(Reason.BAD_VALUE, f'"{value}" is no TLS mode', "use SIMPLE or MUTUAL")
    return value


def _gateway_host(value: str) -> str:
    namespace, slash, host = value.rpartition("/")
    if not host or (slash and not namespace) or ("*" in host and not host.startswith("*")):
        raise refuse(
            Reason.BAD_VALUE,
            f'"{value}" is no host of a Gateway',
            "use a domain name, *.domain or *, with namespace/ in front if need be",
        )
    return value


TlsVersion = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class ServerPort(Part):
    number: Port
    protocol: Annotated[str, AfterValidator(_protocol)]
    name: str | None = None
    target_port: Annotated[
        Any, unsupported("targetPort is deprecated and does nothing", "leave it out")
    ] = None


class ServerTls(Part):
    """How the edge terminates TLS, or sends to where it does."""

    mode: Annotated[str, AfterValidator(_tls_mode)] = "SIMPLE"
    https_redirect: bool = False
    credential_name: str | None = None
    min_protocol_version: TlsVersion = "TLS_AUTO"
    max_protocol_version: TlsVersion = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    credential_names: Annotated[Any, unsupported("several certificates", _REMEDY)] = None
    tls_certificates: Annotated[Any, unsupported("several certificates", _REMEDY)] = None
    server_certificate: Annotated[Any, unsupported("a certificate in a file", _REMEDY)] = None
    private_key: Annotated[Any, unsupported("a key in a file", _REMEDY)] = None
    ca_certificates: Annotated[Any, unsupported("authorities in a file", _REMEDY)] = None
    ca_crl: Annotated[Any, unsupported("a revocation list in a file", _REMEDY)] = None
    ca_cert_credential_name: Annotated[
        Any, unsupported("a Secret of its own for authorities", _REMEDY)
    ] = None
    verify_certificate_spki: Annotated[
        Any, unsupported("pinned keys", "name subjectAltNames instead")
    ] = None
    verify_certificate_hash: Annotated[
        Any, unsupported("pinned certificates", "name subjectAltNames instead")
    ] = None


class Server(Part):
    """One listener's hosts."""

    port: ServerPort
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_gateway_host)], ...], Field(min_length=1)]
    tls: ServerTls | None = None
    name: str | None = None
    bind: Annotated[Any, unsupported("an address to listen on", "leave bind out")] = None
    default_endpoint: Annotated[
        Any, unsupported("defaultEndpoint", "route to a Service in a VirtualService")
    ] = None

    @model_validator(mode="after")
    def _agrees(self) -> Server:
        terminates = self.tls is not None and not self.tls.https_redirect
        if self.port.protocol == "HTTPS" and not terminates:
            raise refuse(
                Reason.MISSING_FIELD,
                "an HTTPS server without a certificate",
                "add tls with mode SIMPLE and a credentialName",
            )
        if self.port.protocol != "HTTPS" and terminates:
            raise refuse(
                Reason.BAD_VALUE,
                f"TLS on a server of protocol {self.port.protocol}",
                "make the protocol HTTPS, or leave only httpsRedirect: true",
            )
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the hosts without the namespaces they are reserved for."""
        return tuple(host.rpartition("/")[2] for host in self.hosts)


class GatewaySpec(Part):
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    selector: dict[str, str] = Field(default_factory=dict)


class Gateway(IstioObject):
    spec: GatewaySpec
