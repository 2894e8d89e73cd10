"""Responses that Envoy sends itself: redirects and direct responses."""

from __future__ import annotations

from typing import Any, Final

from ..gateway_api.filters import PREFIX
from ..manifests.http_route import DirectResponse, Redirect

_RESPONSE_CODES: Final = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def redirect_action(redirect: Redirect, listener_port: int, *, tls: bool) -> dict[str, Any] | None:
    """Return Envoy's RedirectAction; it omits the default port of the scheme.

    ``tls`` is True if the listener terminates TLS. None for a code that Envoy can't send: as from
    istiod, the route then has no action, and Envoy rejects it.
    """
    if redirect.redirect_code not in _RESPONSE_CODES:
        return None
    port = redirect.port
    if redirect.derive_port == "FROM_REQUEST_PORT":
        port = listener_port
    scheme = redirect.scheme or ("https" if tls else "http")
    if port == _DEFAULT_PORTS[scheme]:
        port = None
    fields = {
        "host_redirect": redirect.authority,
        **_path(redirect.uri or ""),
        "scheme_redirect": redirect.scheme,
        "port_redirect": port,
    }
    return {
        **{name: value for name, value in fields.items() if value or name == "prefix_rewrite"},
        "response_code": _RESPONSE_CODES[redirect.redirect_code],
    }


def _path(uri: str) -> dict[str, str]:
    prefix = uri.removeprefix(PREFIX)
    return {"path_redirect": uri} if prefix == uri else {"prefix_rewrite": prefix}


def direct_response(response: DirectResponse) -> dict[str, Any]:
    """Return Envoy's DirectResponseAction; ``bytes`` are base64 in both formats."""
    body = response.body
    if body is None or (body.string is None and body.bytes is None):
        return {"status": response.status}
    if body.string is not None:
        return {"status": response.status, "body": {"inline_string": body.string}}
    return {"status": response.status, "body": {"inline_bytes": body.bytes}}
