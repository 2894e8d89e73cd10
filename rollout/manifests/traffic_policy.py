"""How a proxy treats the pods it sends to."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .part import Part, unsupported
from .refusals import Reason, refuse
from .values import Count, Duration, DurationOrZero, PercentInt

#: What Envoy ejects at most where nothing is said.
DEFAULT_MAX_EJECTION_PERCENT: Final = 10
_SIMPLE: Final = frozenset({"UNSPECIFIED", "LEAST_REQUEST", "RANDOM", "ROUND_ROBIN"})
_OTHER_SIMPLE: Final = frozenset({"PASSTHROUGH", "LEAST_CONN"})


def _simple(value: str) -> str:
    if value in _OTHER_SIMPLE:
        raise refuse(
            Reason.UNSUPPORTED_VALUE,
            f"load balancing by {value}",
            "use LEAST_REQUEST, ROUND_ROBIN or RANDOM",
        )
    if value not in _SIMPLE:
        raise refuse(
            Reason.BAD_VALUE,
            f'"{value}" is no way to balance load',
            "use LEAST_REQUEST, ROUND_ROBIN or RANDOM",
        )
    return value


class HttpCookie(Part):
    """Without a ``ttl`` of its own the cookie ends with the session."""

    name: str
    path: str | None = None
    ttl: DurationOrZero | None = None
    attributes: Annotated[
        Any, unsupported("a cookie's further attributes", "leave attributes out")
    ] = None


class RingHash(Part):
    minimum_ring_size: Annotated[int, Field(ge=0)] = 1024


class ConsistentHash(Part):
    """Pins a caller to a pod within a subset, never to a subset."""

    http_header_name: str | None = None
    http_cookie: HttpCookie | None = None
    minimum_ring_size: Annotated[int, Field(ge=0)] | None = None
    ring_hash: RingHash | None = None
    use_source_ip: Annotated[
        Any, unsupported("hashing the caller's address", "hash a header or a cookie")
    ] = None
    http_query_parameter_name: Annotated[
        Any, unsupported("hashing a query parameter", "hash a header or a cookie")
    ] = None
    maglev: Annotated[Any, unsupported("Maglev hashing", "use ringHash")] = None

    @model_validator(mode="after")
    def _one_key(self) -> ConsistentHash:
        if (self.http_header_name is None) == (self.http_cookie is None):
            raise refuse(
                Reason.BAD_VALUE,
                "one thing is hashed",
                "give either httpHeaderName or httpCookie",
            )
        return self


class LoadBalancer(Part):
    simple: Annotated[str, AfterValidator(_simple)] | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: Annotated[
        Any, unsupported("load balancing by locality", "leave localityLbSetting out")
    ] = None
    warmup: Annotated[Any, unsupported("warming pods up", "leave warmup out")] = None
    warmup_duration_secs: Annotated[
        Any, unsupported("warming pods up", "leave warmupDurationSecs out")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> LoadBalancer:
        if self.simple and self.consistent_hash:
            raise refuse(
                Reason.BAD_VALUE, "two ways to balance load", "keep simple or consistentHash"
            )
        return self


class TcpKeepalive(Part):
    probes: Annotated[int, Field(ge=0)] | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TcpPool(Part):
    max_connections: Count | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None


class HttpPool(Part):
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
        Any, unsupported("the caller's protocol upstream", "leave useClientProtocol out")
    ] = None


class ConnectionPool(Part):
    """Limits of one proxy, not of all together."""

    tcp: TcpPool | None = None
    http: HttpPool | None = None


class OutlierDetection(Part):
    """When a pod is left out for a while."""

    consecutive_5xx_errors: Count | None = Field(default=None, alias="consecutive5xxErrors")
    consecutive_gateway_errors: Count | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: PercentInt = DEFAULT_MAX_EJECTION_PERCENT
    min_health_percent: PercentInt = 0
    consecutive_errors: Annotated[
        Any, unsupported("consecutiveErrors is deprecated", "use consecutive5xxErrors")
    ] = None
    split_external_local_origin_errors: Annotated[
        Any, unsupported("errors of the proxy's own, counted apart", "leave it out")
    ] = None
    consecutive_local_origin_failures: Annotated[
        Any, unsupported("errors of the proxy's own, counted apart", "leave it out")
    ] = None


_TLS_REMEDY: Final = "use ISTIO_MUTUAL or DISABLE, or leave tls out: the mesh then decides"


def _tls_mode(value: str) -> str:
    if value in {"SIMPLE", "MUTUAL"}:
        raise refuse(Reason.UNSUPPORTED_VALUE, f"TLS mode {value} to a destination", _TLS_REMEDY)
    if value not in {"ISTIO_MUTUAL", "DISABLE"}:
        raise refuse(Reason.BAD_VALUE, f'"{value}" is no TLS mode', _TLS_REMEDY)
    return value


def _own_tls(what: str) -> Any:
    return unsupported(what, _TLS_REMEDY)


class ClientTls(Part):
    mode: Annotated[str, AfterValidator(_tls_mode)] = "DISABLE"
    client_certificate: Annotated[Any, _own_tls("a certificate of the client's own")] = None
    private_key: Annotated[Any, _own_tls("a certificate of the client's own")] = None
    ca_certificates: Annotated[Any, _own_tls("authorities of the client's own")] = None
    ca_crl: Annotated[Any, _own_tls("a revocation list")] = None
    credential_name: Annotated[Any, _own_tls("a certificate of the client's own")] = None
    subject_alt_names: Annotated[Any, _own_tls("names to verify")] = None
    sni: Annotated[Any, _own_tls("a server name of its own")] = None
    insecure_skip_verify: Annotated[Any, _own_tls("TLS that is not verified")] = None


class TrafficPolicy(Part):
    """A subset's policy replaces the host's block by block, not field by field."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: Annotated[
        Any, unsupported("policies by port", "use one policy for the host or a subset")
    ] = None
    tunnel: Annotated[Any, unsupported("tunnels", "leave tunnel out")] = None
    proxy_protocol: Annotated[Any, unsupported("the PROXY protocol", "leave it out")] = None
    retry_budget: Annotated[
        Any, unsupported("a retry budget", "limit connectionPool.http.maxRetries")
    ] = None
