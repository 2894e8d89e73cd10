"""Filters of routes as fields of Istio's routes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from ..manifests.cors import CorsPolicy
from ..manifests.field_types import Percent
from ..manifests.gateway_api.filters import (
    Cors,
    GrpcFilter,
    HeaderModifier,
    HeaderValue,
    HttpFilter,
    PathModifier,
    RequestRedirect,
    UrlRewrite,
)
from ..manifests.header_operations import HeaderOperations, Headers
from ..manifests.http_route import Mirror, Redirect, RegexRewrite, Rewrite
from ..manifests.string_match import Exact, Regex, quote
from .backends import Backends, RouteRefused

#: Stands for the matched prefix in the path of a redirect.
PREFIX: Final = "%PREFIX()%"
_ANY_ORIGIN: Final = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"


def filter_fields(filters: Iterable[GrpcFilter], backends: Backends) -> dict[str, Any]:
    """Return fields of an Istio route; raise RouteRefused for a filter that Istio does not know.

    A mirror whose backend does not exist is left out.
    """
    fields: dict[str, Any] = {}
    mirrors: list[Mirror] = []
    for each in filters:
        if each.request_mirror:
            destination = backends.mirror(each.request_mirror.backend_ref)
            if destination:
                percentage = Percent.model_construct(value=each.request_mirror.percentage)
                mirrors.append(
                    Mirror.model_construct(destination=destination, percentage=percentage)
                )
        elif isinstance(each, HttpFilter) and each.request_redirect:
            fields["redirect"] = _redirect(each.request_redirect)
        elif isinstance(each, HttpFilter) and each.url_rewrite:
            fields["rewrite"] = _rewrite(each.url_rewrite)
        elif isinstance(each, HttpFilter) and each.cors:
            fields["cors_policy"] = _cors(each.cors)
    return {
        **fields,
        **({"mirrors": tuple(mirrors)} if mirrors else {}),
        **header_fields(filters, known=_KNOWN),
    }


_MODIFIERS: Final = frozenset({"RequestHeaderModifier", "ResponseHeaderModifier"})
_KNOWN: Final = _MODIFIERS | {"RequestMirror", "RequestRedirect", "URLRewrite", "CORS"}


def header_fields(
    filters: Iterable[GrpcFilter], *, known: frozenset[str] = _MODIFIERS
) -> dict[str, Any]:
    """Return the field ``headers``, if a filter changes some; raise RouteRefused for others."""
    operations: dict[str, Any] = {}
    for each in filters:
        if each.type not in known:
            raise RouteRefused(f"Istio does not know the filter {each.type} here")
        if each.request_header_modifier:
            operations["request"] = _operations(each.request_header_modifier)
        if each.response_header_modifier:
            operations["response"] = _operations(each.response_header_modifier)
    return {"headers": Headers.model_construct(**operations)} if operations else {}


def _operations(modifier: HeaderModifier) -> HeaderOperations:
    return HeaderOperations.model_construct(
        set=_first_values(modifier.set), add=_first_values(modifier.add), remove=modifier.remove
    )


def _first_values(headers: Iterable[HeaderValue]) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in headers:
        values.setdefault(each.name.lower(), each.value)
    return values


def _redirect(redirect: RequestRedirect) -> Redirect:
    derive = None
    if redirect.port is None:
        derive = "FROM_PROTOCOL_DEFAULT" if redirect.scheme else "FROM_REQUEST_PORT"
    return Redirect.model_construct(
        redirect_code=redirect.status_code,
        authority=redirect.hostname,
        scheme=redirect.scheme,
        port=redirect.port,
        derive_port=derive,
        uri=_redirect_path(redirect.path),
    )


def _redirect_path(path: PathModifier | None) -> str | None:
    if path is None or path.replace_full_path is not None:
        return path.replace_full_path if path else None
    return f"{PREFIX}{path.replace_prefix_match}"


def _rewrite(rewrite: UrlRewrite) -> Rewrite | None:
    fields: dict[str, Any] = {"authority": rewrite.hostname} if rewrite.hostname else {}
    if rewrite.path and rewrite.path.replace_full_path is not None:
        fields["uri_regex_rewrite"] = RegexRewrite.model_construct(
            match="/.*", rewrite=rewrite.path.replace_full_path
        )
    elif rewrite.path and rewrite.path.replace_prefix_match is not None:
        fields["uri"] = rewrite.path.replace_prefix_match.removesuffix("/") or "/"
    return Rewrite.model_construct(**fields) if fields else None


def _cors(cors: Cors) -> CorsPolicy:
    return CorsPolicy.model_construct(
        allow_origins=tuple(_origin(each) for each in cors.allow_origins if each),
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age=timedelta(seconds=cors.max_age),
        allow_credentials=True if cors.allow_credentials else None,
        unmatched_preflights="IGNORE",
    )


def _origin(origin: str) -> Exact | Regex:
    if origin == "*":
        return Regex(_ANY_ORIGIN)
    if "*" in origin:
        return Regex(f"^{'.*'.join(map(quote, origin.split('*')))}$")
    return Exact(origin)
