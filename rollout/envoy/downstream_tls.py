"""How a gateway's server decrypts connections."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.server_tls import ServerTls
from .protobuf_json import extension
from .tls_secrets import MESH_TRUST, OWN, secret, validation

_CONTEXT: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
#: What the server offers in the TLS handshake (ALPN).
_PROTOCOLS: Final = ("h2", "http/1.1")
#: Offered first to a sidecar that opens a TCP connection: Istio's exchange of metadata.
_EXCHANGE: Final = "istio-peer-exchange"
_VERSIONS: Final = {
    "TLSV1_0": "TLSv1_0",
    "TLSV1_1": "TLSv1_1",
    "TLSV1_2": "TLSv1_2",
    "TLSV1_3": "TLSv1_3",
}


def server_transport_socket(tls: ServerTls, *, http: bool) -> dict[str, Any]:
    """Return the transport socket of a filter chain, which decrypts HTTP or other TCP."""
    exchange = tls.mode == "ISTIO_MUTUAL" and not http
    versions = {
        "tls_minimum_protocol_version": _VERSIONS.get(tls.min_protocol_version),
        "tls_maximum_protocol_version": _VERSIONS.get(tls.max_protocol_version),
    }
    parameters = {
        **{name: value for name, value in versions.items() if value},
        **({"cipher_suites": list(tls.cipher_suites)} if tls.cipher_suites else {}),
    }
    context = {
        "tls_certificate_sds_secret_configs": [secret(each) for each in _certificates(tls)],
        **_validation(tls),
        "alpn_protocols": [_EXCHANGE, *_PROTOCOLS] if exchange else list(_PROTOCOLS),
        **({"tls_params": parameters} if parameters else {}),
    }
    return extension(
        "envoy.transport_sockets.tls",
        _CONTEXT,
        common_tls_context=context,
        require_client_certificate=tls.mode in {"MUTUAL", "ISTIO_MUTUAL"},
    )


def _certificates(tls: ServerTls) -> list[str]:
    if tls.mode == "ISTIO_MUTUAL":
        return [OWN]
    if names := [tls.credential_name] if tls.credential_name else list(tls.credential_names or ()):
        return [f"kubernetes://{each}" for each in names]
    pairs = [(each.server_certificate, each.private_key) for each in tls.tls_certificates or ()]
    return [
        f"file-cert:{certificate}~{key}"
        for certificate, key in pairs or [(tls.server_certificate, tls.private_key)]
    ]


def _validation(tls: ServerTls) -> dict[str, Any]:
    if tls.mode == "ISTIO_MUTUAL":
        return validation(MESH_TRUST, tls.subject_alt_names)
    if tls.mode not in {"MUTUAL", "OPTIONAL_MUTUAL"}:
        return {}
    if tls.credential_name:
        name = f"kubernetes://{tls.ca_cert_credential_name or f'{tls.credential_name}-cacert'}"
    else:
        name = f"file-root:{tls.ca_certificates}"
    return validation(name, tls.subject_alt_names)
