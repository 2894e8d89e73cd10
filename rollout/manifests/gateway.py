"""Gateway: the hosts and ports that an ingress gateway listens on.

https://istio.io/latest/docs/reference/config/networking/gateway/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Port
from .metadata import IstioObject
from .strict_model import StrictModel, unsupported

_HTTP_PROTOCOLS: Final = frozenset({"HTTP", "HTTP2", "GRPC", "HTTPS"})
_UNSUPPORTED_PROTOCOLS: Final = frozenset({"TCP", "TLS", "MONGO", "MYSQL", "REDIS", "GRPC-WEB"})
_TLS_MODES: Final = frozenset({"SIMPLE", "MUTUAL"})
_UNSUPPORTED_TLS_MODES: Final = frozenset(
    {"PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"}
)
_MOVE_TO_SECRET: Final = "put it in a Secret and set credentialName to the name of that Secret"  # noqa: S105 - no password
_USE_ALT_NAMES: Final = "set subjectAltNames instead"


def _check_protocol(value: str) -> str:
    if value in _UNSUPPORTED_PROTOCOLS:
        raise field_error(
            Reason.UNSUPPORTED_VALUE, f"protocol {value}", "use HTTP, HTTPS, HTTP2 or GRPC"
        )
    if value not in _HTTP_PROTOCOLS:
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a protocol', "use HTTP, HTTPS, HTTP2 or GRPC"
        )
    return value


def _check_tls_mode(value: str) -> str:
    if value in _UNSUPPORTED_TLS_MODES:
        raise field_error(Reason.UNSUPPORTED_VALUE, f"TLS mode {value}", "use SIMPLE or MUTUAL")
    if value not in _TLS_MODES:
        raise field_error(Reason.BAD_VALUE, f'"{value}" is not a TLS mode', "use SIMPLE or MUTUAL")
    return value


def _check_gateway_host(value: str) -> str:
    namespace, slash, host = value.rpartition("/")
    if not host or (slash and not namespace) or ("*" in host and not host.startswith("*")):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a host of a Gateway',
            "write a domain name, *.domain or *; namespace/ may precede it",
        )
    return value


TlsVersion = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class ServerPort(StrictModel):
    number: Port
    protocol: Annotated[str, AfterValidator(_check_protocol)]
    name: str | None = None
    target_port: Annotated[
        Any, unsupported("the deprecated field targetPort, which does nothing,", "remove it")
    ] = None


class ServerTls(StrictModel):
    """How a listener terminates TLS, or that it redirects to HTTPS."""

    mode: Annotated[str, AfterValidator(_check_tls_mode)] = "SIMPLE"
    https_redirect: bool = False
    credential_name: str | None = None
    min_protocol_version: TlsVersion = "TLS_AUTO"
    max_protocol_version: TlsVersion = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    credential_names: Annotated[Any, unsupported("more than one certificate", _MOVE_TO_SECRET)] = (
        None
    )
    tls_certificates: Annotated[Any, unsupported("more than one certificate", _MOVE_TO_SECRET)] = (
        None
    )
    server_certificate: Annotated[Any, unsupported("a certificate file", _MOVE_TO_SECRET)] = None
    private_key: Annotated[Any, unsupported("a private key file", _MOVE_TO_SECRET)] = None
    ca_certificates: Annotated[Any, unsupported("a CA certificate file", _MOVE_TO_SECRET)] = None
    ca_crl: Annotated[Any, unsupported("a revocation list file", _MOVE_TO_SECRET)] = None
    ca_cert_credential_name: Annotated[
        Any, unsupported("a separate Secret for CA certificates", _MOVE_TO_SECRET)
    ] = None
    verify_certificate_spki: Annotated[Any, unsupported("key pinning", _USE_ALT_NAMES)] = None
    verify_certificate_hash: Annotated[Any, unsupported("certificate pinning", _USE_ALT_NAMES)] = (
        None
    )


class Server(StrictModel):
    """The hosts of one listener."""

    port: ServerPort
    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_check_gateway_host)], ...], Field(min_length=1)
    ]
    tls: ServerTls | None = None
    name: str | None = None
    bind: Annotated[Any, unsupported("a listen address", "remove bind")] = None
    default_endpoint: Annotated[
        Any, unsupported("defaultEndpoint", "route to a Service in a VirtualService")
    ] = None

    @model_validator(mode="after")
    def _check_tls_matches_protocol(self) -> Server:
        terminates = self.tls is not None and not self.tls.https_redirect
        if self.port.protocol == "HTTPS" and not terminates:
            raise field_error(
                Reason.MISSING_FIELD,
                "the HTTPS server has no certificate",
                "add tls with mode SIMPLE and a credentialName",
            )
        if self.port.protocol != "HTTPS" and terminates:
            raise field_error(
                Reason.BAD_VALUE,
                f"the server terminates TLS, but its protocol is {self.port.protocol}",
                "set the protocol to HTTPS, or keep only httpsRedirect: true",
            )
        return self

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the hosts without their namespace prefixes."""
        return tuple(host.rpartition("/")[2] for host in self.hosts)


class GatewaySpec(StrictModel):
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    selector: dict[str, str] = Field(default_factory=dict)


class Gateway(IstioObject):
    spec: GatewaySpec
