"""How Envoy connects to the pods of a destination (Istio's TrafficPolicy).

https://istio.io/latest/docs/reference/config/networking/destination-rule/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Count, Duration, DurationOrZero, PercentInt
from .strict_model import StrictModel, unsupported

#: Envoy's default.
DEFAULT_MAX_EJECTION_PERCENT: Final = 10
_ALGORITHMS: Final = frozenset({"UNSPECIFIED", "LEAST_REQUEST", "RANDOM", "ROUND_ROBIN"})
_UNSUPPORTED_ALGORITHMS: Final = frozenset({"PASSTHROUGH", "LEAST_CONN"})


def _check_algorithm(value: str) -> str:
    if value in _UNSUPPORTED_ALGORITHMS:
        raise field_error(
            Reason.UNSUPPORTED_VALUE,
            f"the load balancing algorithm {value}",
            "use LEAST_REQUEST, ROUND_ROBIN or RANDOM",
        )
    if value not in _ALGORITHMS:
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a load balancing algorithm',
            "use LEAST_REQUEST, ROUND_ROBIN or RANDOM",
        )
    return value


class HttpCookie(StrictModel):
    """A cookie without ``ttl`` is a session cookie."""

    name: str
    path: str | None = None
    ttl: DurationOrZero | None = None
    attributes: Annotated[
        Any, unsupported("setting attributes of the cookie", "remove attributes")
    ] = None


class RingHash(StrictModel):
    minimum_ring_size: Annotated[int, Field(ge=0)] = 1024


class ConsistentHash(StrictModel):
    """Sends the same caller to the same pod of a subset. The weights still choose the subset."""

    http_header_name: str | None = None
    http_cookie: HttpCookie | None = None
    minimum_ring_size: Annotated[int, Field(ge=0)] | None = None
    ring_hash: RingHash | None = None
    use_source_ip: Annotated[
        Any, unsupported("hashing the caller's IP address", "hash a header or a cookie")
    ] = None
    http_query_parameter_name: Annotated[
        Any, unsupported("hashing a query parameter", "hash a header or a cookie")
    ] = None
    maglev: Annotated[Any, unsupported("Maglev hashing", "use ringHash")] = None

    @model_validator(mode="after")
    def _check_one_key(self) -> ConsistentHash:
        if (self.http_header_name is None) == (self.http_cookie is None):
            raise field_error(
                Reason.BAD_VALUE,
                "consistentHash needs exactly one key",
                "set either httpHeaderName or httpCookie",
            )
        return self


class LoadBalancer(StrictModel):
    simple: Annotated[str, AfterValidator(_check_algorithm)] | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: Annotated[
        Any, unsupported("load balancing by locality", "remove localityLbSetting")
    ] = None
    warmup: Annotated[Any, unsupported("warm-up of new pods", "remove warmup")] = None
    warmup_duration_secs: Annotated[
        Any, unsupported("warm-up of new pods", "remove warmupDurationSecs")
    ] = None

    @model_validator(mode="after")
    def _check_one_algorithm(self) -> LoadBalancer:
        if self.simple and self.consistent_hash:
            raise field_error(
                Reason.BAD_VALUE,
                "simple and consistentHash both choose the load balancing algorithm",
                "keep one of the two",
            )
        return self


class TcpKeepalive(StrictModel):
    probes: Annotated[int, Field(ge=0)] | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TcpPool(StrictModel):
    max_connections: Count | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None


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
    use_client_protocol: Annotated[
        Any, unsupported("forwarding with the caller's protocol", "remove useClientProtocol")
    ] = None


class ConnectionPool(StrictModel):
    """Limits that each Envoy applies on its own."""

    tcp: TcpPool | None = None
    http: HttpPool | None = None


_LOCAL_ORIGIN: Final = unsupported(
    "counting locally originated errors separately",
    "remove splitExternalLocalOriginErrors and consecutiveLocalOriginFailures",
)


class OutlierDetection(StrictModel):
    """When Envoy stops sending requests to a pod for a while (ejects it)."""

    consecutive_5xx_errors: Count | None = Field(default=None, alias="consecutive5xxErrors")
    consecutive_gateway_errors: Count | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: PercentInt = DEFAULT_MAX_EJECTION_PERCENT
    min_health_percent: PercentInt = 0
    consecutive_errors: Annotated[
        Any, unsupported("the deprecated field consecutiveErrors", "use consecutive5xxErrors")
    ] = None
    split_external_local_origin_errors: Annotated[Any, _LOCAL_ORIGIN] = None
    consecutive_local_origin_failures: Annotated[Any, _LOCAL_ORIGIN] = None


_TLS_REMEDY: Final = "use ISTIO_MUTUAL or DISABLE, or remove tls so that the mesh decides"


def _check_tls_mode(value: str) -> str:
    if value in {"SIMPLE", "MUTUAL"}:
        raise field_error(
            Reason.UNSUPPORTED_VALUE, f"TLS mode {value} to a destination", _TLS_REMEDY
        )
    if value not in {"ISTIO_MUTUAL", "DISABLE"}:
        raise field_error(Reason.BAD_VALUE, f'"{value}" is not a TLS mode', _TLS_REMEDY)
    return value


def _custom_tls(what: str) -> Any:
    return unsupported(what, _TLS_REMEDY)


class ClientTls(StrictModel):
    mode: Annotated[str, AfterValidator(_check_tls_mode)] = "DISABLE"
    client_certificate: Annotated[Any, _custom_tls("a custom client certificate")] = None
    private_key: Annotated[Any, _custom_tls("a custom client certificate")] = None
    ca_certificates: Annotated[Any, _custom_tls("a custom CA certificate")] = None
    ca_crl: Annotated[Any, _custom_tls("a revocation list")] = None
    credential_name: Annotated[Any, _custom_tls("a custom client certificate")] = None
    subject_alt_names: Annotated[Any, _custom_tls("verifying subject alternative names")] = None
    sni: Annotated[Any, _custom_tls("a custom server name (SNI)")] = None
    insecure_skip_verify: Annotated[Any, _custom_tls("TLS without verification")] = None


class TrafficPolicy(StrictModel):
    """Each block of a subset's policy, such as ``tls``, replaces the block of the host's policy."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: Annotated[
        Any, unsupported("a traffic policy per port", "use one policy for the host or the subset")
    ] = None
    tunnel: Annotated[Any, unsupported("tunnelling", "remove tunnel")] = None
    proxy_protocol: Annotated[Any, unsupported("the PROXY protocol", "remove proxyProtocol")] = None
    retry_budget: Annotated[
        Any, unsupported("a retry budget", "set connectionPool.http.maxRetries")
    ] = None
