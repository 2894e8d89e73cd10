"""How Envoy connects to the pods of a destination (Istio's TrafficPolicy).

https://istio.io/latest/docs/reference/config/networking/destination-rule/
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Count, Duration, DurationOrZero, PercentInt, Port, PortSelector, Unsigned
from .load_balancing import LoadBalancer
from .names import is_address, is_domain
from .not_modelled import NotModelled
from .strict_model import StrictModel

#: Envoy's default.
DEFAULT_MAX_EJECTION_PERCENT: Final = 10


class TcpKeepalive(StrictModel):
    probes: Unsigned | None = None
    time: DurationOrZero | None = None
    interval: DurationOrZero | None = None


class TcpPool(StrictModel):
    max_connections: Count | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None


class Http2KeepAlive(StrictModel):
    interval: DurationOrZero | None = None
    timeout: DurationOrZero | None = None


class HttpPool(StrictModel):
    http1_max_pending_requests: Count | None = Field(default=None, alias="http1MaxPendingRequests")
    http2_max_requests: Count | None = Field(default=None, alias="http2MaxRequests")
    max_requests_per_connection: Count | None = None
    max_retries: Count | None = None
    max_concurrent_streams: Count | None = None
    idle_timeout: DurationOrZero | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = Field(
        default="DEFAULT", alias="h2UpgradePolicy"
    )
    use_client_protocol: bool | None = None
    http2_keep_alive: Annotated[
        Http2KeepAlive | None,
        NotModelled("keepalive of HTTP/2", "when idle connections break isn't checked"),
    ] = Field(default=None, alias="http2KeepAlive")

    @model_validator(mode="after")
    def _check_protocol(self) -> HttpPool:
        if self.h2_upgrade_policy == "UPGRADE" and self.use_client_protocol:
            raise field_error(
                Reason.BAD_VALUE,
                "h2UpgradePolicy: UPGRADE and useClientProtocol exclude each other",
                "keep one of them",
                ("useClientProtocol",),
            )
        return self


class ConnectionPool(StrictModel):
    """Limits that each Envoy applies on its own."""

    tcp: TcpPool | None = None
    http: HttpPool | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> ConnectionPool:
        if self.tcp is None and self.http is None:
            raise field_error(Reason.MISSING_FIELD, "connectionPool is empty", "add tcp or http")
        return self


class OutlierDetection(StrictModel):
    """When Envoy stops sending requests to a pod for a while (ejects it)."""

    consecutive_5xx_errors: Unsigned | None = Field(default=None, alias="consecutive5xxErrors")
    consecutive_gateway_errors: Unsigned | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: PercentInt = DEFAULT_MAX_EJECTION_PERCENT
    min_health_percent: PercentInt = 0
    consecutive_errors: Annotated[
        int | None,
        NotModelled(
            "the deprecated field consecutiveErrors", "when pods are ejected isn't checked"
        ),
    ] = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failures: Unsigned | None = None
    outlier_detection_http_error_codes: Annotated[
        tuple[Annotated[int, Field(ge=100, le=599)], ...],
        NotModelled("other statuses that eject", "when pods are ejected isn't checked"),
    ] = ()

    @model_validator(mode="after")
    def _check_local_origin(self) -> OutlierDetection:
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            raise field_error(
                Reason.BAD_VALUE,
                "it has no effect without splitExternalLocalOriginErrors; Istio rejects that",
                "add splitExternalLocalOriginErrors: true",
                ("consecutiveLocalOriginFailures",),
            )
        return self


_HANDSHAKE: Final = "the TLS handshake with the destination isn't checked"
_CUSTOM: Final = NotModelled("a custom TLS handshake", _HANDSHAKE)


class ClientTls(StrictModel):
    mode: Annotated[
        Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"],
        NotModelled(
            "TLS to a destination outside the mesh", _HANDSHAKE, frozenset({"SIMPLE", "MUTUAL"})
        ),
    ] = "DISABLE"
    client_certificate: Annotated[str | None, _CUSTOM] = None
    private_key: Annotated[str | None, _CUSTOM] = None
    ca_certificates: Annotated[str | None, _CUSTOM] = None
    ca_crl: Annotated[str | None, _CUSTOM] = None
    credential_name: Annotated[str | None, _CUSTOM] = None
    subject_alt_names: Annotated[tuple[str, ...], _CUSTOM] = ()
    sni: Annotated[str | None, _CUSTOM] = None
    insecure_skip_verify: Annotated[bool | None, _CUSTOM] = None

    @model_validator(mode="after")
    def _check_certificates(self) -> ClientTls:
        files = (self.client_certificate, self.private_key, self.ca_certificates, self.ca_crl)
        custom = self.mode in {"SIMPLE", "MUTUAL"}
        verified = bool(self.ca_certificates) or self.is_set("subject_alt_names")
        if self.mode == "SIMPLE":
            verified = verified or bool(self.credential_name)
        if custom and self.insecure_skip_verify and verified:
            raise field_error(
                Reason.BAD_VALUE,
                "insecureSkipVerify excludes what the certificate is verified by",
                "remove insecureSkipVerify, or the certificates and names",
                ("insecureSkipVerify",),
            )
        if custom and self.credential_name and any(files):
            raise field_error(
                Reason.BAD_VALUE,
                "credentialName stands beside certificate files",
                "keep one of the two",
                ("credentialName",),
            )
        missing = not (self.client_certificate and self.private_key)
        if self.mode == "MUTUAL" and not self.credential_name and missing:
            raise field_error(
                Reason.MISSING_FIELD,
                "mutual TLS needs a client certificate and its private key",
                "add credentialName, or clientCertificate and privateKey",
                ("credentialName",),
            )
        return self


class PortPolicy(StrictModel):
    """The policy of one port; it replaces the policy of the host or the subset for that port."""

    port: PortSelector
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> PortPolicy:
        blocks = (self.load_balancer, self.connection_pool, self.outlier_detection, self.tls)
        if not any(each is not None for each in blocks):
            raise field_error(
                Reason.MISSING_FIELD, "the policy of the port is empty", "add what it changes"
            )
        return self


class Tunnel(StrictModel):
    protocol: Literal["CONNECT", "POST", ""] | None = None
    target_host: str
    target_port: Port

    @model_validator(mode="after")
    def _check_host(self) -> Tunnel:
        if not (is_domain(self.target_host) or is_address(self.target_host)):
            raise field_error(
                Reason.BAD_VALUE,
                f'"{self.target_host}" is not a host',
                "write a domain name or an IP address",
                ("targetHost",),
            )
        return self


class ProxyProtocol(StrictModel):
    version: Literal["V1", "V2"] | None = None


class RetryBudget(StrictModel):
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    budget_interval: DurationOrZero | None = None
    min_retry_concurrency: Unsigned | None = None


class TrafficPolicy(StrictModel):
    """Each block of a subset's policy, such as ``tls``, replaces the block of the host's policy."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: Annotated[tuple[PortPolicy, ...], Field(max_length=4096)] = ()
    tunnel: Annotated[
        Tunnel | None, NotModelled("tunnelling", "where connections lead isn't checked")
    ] = None
    proxy_protocol: Annotated[
        ProxyProtocol | None,
        NotModelled("the PROXY protocol", "whether the destination speaks it isn't checked"),
    ] = None
    retry_budget: RetryBudget | None = None

    @model_validator(mode="after")
    def _check_blocks(self) -> TrafficPolicy:
        if self.tunnel and self.proxy_protocol:
            raise field_error(
                Reason.BAD_VALUE, "tunnel and proxyProtocol exclude each other", "keep one of them"
            )
        return self


def _check_not_empty(policy: TrafficPolicy) -> TrafficPolicy:
    if not policy.model_fields_set:
        raise field_error(
            Reason.MISSING_FIELD,
            "the traffic policy is empty; Istio's webhook rejects that",
            "add what it changes, or remove it",
        )
    return policy


#: A policy in a manifest. Only code may make an empty one.
WrittenPolicy = Annotated[TrafficPolicy, AfterValidator(_check_not_empty)]
