"""Which requests a route is for."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from .matches import HeaderMatch, Match
from .part import Part, unsupported
from .refusals import Reason, refuse
from .values import Port

#: Written under headers they say nothing: they have fields of their own.
_OWN_FIELDS: Final = frozenset({"uri", "scheme", "method", "authority"})


def _header(name: str) -> str:
    if name in _OWN_FIELDS:
        raise refuse(
            Reason.BAD_VALUE,
            f'Istio ignores "{name}" among headers',
            f"match it by the field {name} beside headers",
        )
    if name.startswith("@request.auth."):
        raise refuse(
            Reason.UNSUPPORTED_FIELD, "routing by a token's claims", "match a header of the request"
        )
    return name


HeaderName = Annotated[str, AfterValidator(_header)]


class HttpMatch(Part):
    """Conditions that must all hold; one that says nothing holds for every request."""

    name: str | None = None
    uri: Match | None = None
    scheme: Match | None = None
    method: Match | None = None
    authority: Match | None = None
    headers: dict[HeaderName, HeaderMatch] = Field(default_factory=dict)
    without_headers: dict[HeaderName, HeaderMatch] = Field(default_factory=dict)
    query_params: dict[str, HeaderMatch] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    port: Port | None = None
    gateways: tuple[str, ...] = ()
    source_labels: Annotated[
        Any, unsupported("matching the caller's labels", "match a header that callers send")
    ] = None
    source_namespace: Annotated[
        Any, unsupported("matching the caller's namespace", "match a header that callers send")
    ] = None
    stat_prefix: Annotated[Any, unsupported("a route's own statistics", "leave statPrefix out")] = (
        None
    )
