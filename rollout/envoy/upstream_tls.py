"""How a cluster encrypts its connections: by the DestinationRule, else by auto mTLS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..manifests.kubernetes import Workload
from ..manifests.security import PeerAuthentication
from ..manifests.traffic_policy import ClientTls, ProxyProtocol, TrafficPolicy
from .configuration import Resource
from .load_balancing import is_passthrough
from .local_secrets import trust_name
from .peer_modes import namespace_mode
from .protobuf_json import extension
from .services import MeshService, Resolution
from .tls_secrets import MESH_TRUST, OWN, secret, validation

_TLS: Final = "envoy.transport_sockets.tls"
_TLS_CONTEXT: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_RAW: Final = "envoy.transport_sockets.raw_buffer"
_RAW_MESSAGE: Final = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_PROXY: Final = "envoy.transport_sockets.upstream_proxy_protocol"
_PROXY_MESSAGE: Final = (
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
)
#: The label of pods with a sidecar, and the same in the metadata of endpoints.
_TLS_MODE_LABEL: Final = "security.istio.io/tlsMode"
MUTUAL_TLS: Final = {"tlsMode": "istio"}
#: What sidecars offer to each other in the TLS handshake (ALPN).
_MESH_PROTOCOLS: Final = ("istio-peer-exchange", "istio")


def transport_sockets(
    policy: TrafficPolicy,
    *,
    server_name: str,
    http2: bool,
    auto: bool,
    original_address: bool,
    may_read_secrets: bool,
) -> dict[str, Any]:
    """Return the fields of a cluster.

    ``server_name`` (SNI) is the cluster's own. ``auto`` is True if the mesh decides where the
    policy has no ``tls``: then Envoy uses mTLS to pods with a sidecar. Without
    ``may_read_secrets``, a policy with a Secret has no effect, as in istiod.
    """
    tls = policy.tls
    wrap = _proxy_protocol(policy.proxy_protocol)
    if tls is None and auto:
        mutual = _mutual((), server_name, http2=http2)
        if original_address:
            return {"transport_socket": wrap(mutual)}
        return with_mutual_tls(wrap(mutual), wrap(extension(_RAW, _RAW_MESSAGE)))
    if tls and tls.credential_name and tls.mode != "ISTIO_MUTUAL" and not may_read_secrets:
        tls = None
    if tls is None or tls.mode == "DISABLE":
        if policy.proxy_protocol:
            return {"transport_socket": wrap(extension(_RAW, _RAW_MESSAGE))}
        return {}
    socket = (
        _mutual(tls.subject_alt_names, tls.sni or server_name, http2=http2)
        if tls.mode == "ISTIO_MUTUAL"
        else _originated(tls, http2=http2)
    )
    return {"transport_socket": wrap(socket)} if socket else {}


def http_options_of(tls: ClientTls | None) -> dict[str, Any]:
    """Return the fields of HttpProtocolOptions: where the name comes from, and what is verified."""
    if tls is None or tls.mode not in {"SIMPLE", "MUTUAL"}:
        return {}
    automatic = not tls.sni
    verified = automatic and not tls.subject_alt_names and not tls.insecure_skip_verify
    options = {
        **({"auto_sni": True} if automatic else {}),
        **({"auto_san_validation": True} if verified else {}),
    }
    return {"upstream_http_protocol_options": options} if options else {}


def mutual_socket(cluster: Resource) -> Resource | None:
    """Return the transport socket with which a cluster's caller uses the mesh's mutual TLS."""
    matches = cluster.get("transport_socket_matches")
    socket = matches[0]["transport_socket"] if matches else cluster.get("transport_socket")
    return socket if socket and trust_name(socket) == MESH_TRUST else None


def with_mutual_tls(socket: Resource, plain: Resource | None = None) -> dict[str, Any]:
    """Return the fields of a cluster that uses mutual TLS only to endpoints that accept it."""
    plain = plain or extension(_RAW, _RAW_MESSAGE)
    return {
        "transport_socket_matches": [
            {"name": "tlsMode-istio", "match": MUTUAL_TLS, "transport_socket": socket},
            {"name": "tlsMode-disabled", "match": {}, "transport_socket": plain},
        ]
    }


def decides_itself(
    service: MeshService,
    policy: TrafficPolicy | None,
    peers: Iterable[PeerAuthentication],
    pods: Iterable[Workload],
) -> bool:
    """Return True if callers use mTLS to a service's pods where no rule says anything (auto mTLS).

    ``policy`` is the host's policy as written, or the subset's.
    """
    if service.external:
        return False
    chosen_by_caller = service.resolution is Resolution.ORIGINAL_ADDRESS or is_passthrough(
        policy.load_balancer if policy else None
    )
    if chosen_by_caller:
        # Envoy can't tell such endpoints apart, so all of them must have a sidecar.
        found = tuple(pods)
        if not found or any(each.labels.get(_TLS_MODE_LABEL) != "istio" for each in found):
            return False
    return namespace_mode(service.namespace, peers) != "DISABLE"


def _mutual(names: tuple[str, ...], server_name: str, *, http2: bool) -> dict[str, Any]:
    context = {
        "tls_certificate_sds_secret_configs": [secret(OWN)],
        **validation(MESH_TRUST, names),
        "alpn_protocols": [*_MESH_PROTOCOLS, *(["h2"] if http2 else [])],
    }
    return extension(_TLS, _TLS_CONTEXT, common_tls_context=context, sni=server_name)


def _originated(tls: ClientTls, *, http2: bool) -> dict[str, Any] | None:
    """Return TLS to an ordinary server, None for a policy that Istio can't apply."""
    certificates = []
    trust: dict[str, Any] = {}
    if tls.credential_name:
        if tls.mode == "MUTUAL":
            certificates = [secret(f"kubernetes://{tls.credential_name}")]
        if not tls.insecure_skip_verify:
            name = f"kubernetes://{tls.credential_name}-cacert"
            trust = validation(name, tls.subject_alt_names)
    else:
        if tls.mode == "MUTUAL":
            if not (tls.client_certificate and tls.private_key):
                return None
            certificates = [secret(f"file-cert:{tls.client_certificate}~{tls.private_key}")]
        if not tls.insecure_skip_verify:
            root = tls.ca_certificates or "system"
            trust = validation(f"file-root:{root}", tls.subject_alt_names)
    context = {
        **({"tls_certificate_sds_secret_configs": certificates} if certificates else {}),
        **(trust or {"validation_context": {}}),
        **({"alpn_protocols": ["h2"]} if http2 else {}),
    }
    sni = {"sni": tls.sni} if tls.sni else {}
    return extension(_TLS, _TLS_CONTEXT, common_tls_context=context, **sni)


def _proxy_protocol(protocol: ProxyProtocol | None) -> Any:
    """Return a function that has a connection begin with the caller's address."""

    def wrap(socket: dict[str, Any]) -> dict[str, Any]:
        if protocol is None:
            return socket
        config = {"version": protocol.version}
        return extension(_PROXY, _PROXY_MESSAGE, config=config, transport_socket=socket)

    return wrap
