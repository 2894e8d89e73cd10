"""Requests that no pod answers: redirects, and responses written out in the route."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.http_route import DirectResponse, Redirect

_CODES: Final = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_OWN_PORTS: Final = {"http": 80, "https": 443}


def redirect_action(redirect: Redirect, listener_port: int, *, tls: bool) -> dict[str, Any]:
    """Return where the caller is sent; a port that goes without saying is left out."""
    port = redirect.port
    if redirect.derive_port == "FROM_REQUEST_PORT":
        port = listener_port
    scheme = redirect.scheme or ("https" if tls else "http")
    if port == _OWN_PORTS[scheme]:
        port = None
    fields = {
        "host_redirect": redirect.authority,
        "path_redirect": redirect.uri,
        "scheme_redirect": redirect.scheme,
        "port_redirect": port,
    }
    return {
        **{name: value for name, value in fields.items() if value},
        "response_code": _CODES[redirect.redirect_code],
    }


def direct_response(response: DirectResponse) -> dict[str, Any]:
    """Return the answer; a body of bytes is base64 in the manifest and stays so."""
    body = response.body
    if body is None or (body.string is None and body.bytes is None):
        return {"status": response.status}
    if body.string is not None:
        return {"status": response.status, "body": {"inline_string": body.string}}
    return {"status": response.status, "body": {"inline_bytes": body.bytes}}
