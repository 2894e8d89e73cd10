"""The conditions under which a route applies to a request (Istio's HTTPMatchRequest)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from .field_errors import Reason, field_error
from .field_types import Port
from .strict_model import StrictModel, unsupported
from .string_match import HeaderMatchField, StringMatchField

#: Istio ignores these names among ``headers``: each has a field of its own.
_NOT_HEADERS: Final = frozenset({"uri", "scheme", "method", "authority"})
_MATCH_A_HEADER: Final = "match a header that callers send"


def _check_header(name: str) -> str:
    if name in _NOT_HEADERS:
        raise field_error(
            Reason.BAD_VALUE,
            f'Istio ignores "{name}" under headers',
            f"use the field {name} next to headers",
        )
    if name.startswith("@request.auth."):
        raise field_error(
            Reason.UNSUPPORTED_FIELD, "routing by claims of a JWT", "match a request header"
        )
    return name


HeaderName = Annotated[str, AfterValidator(_check_header)]


class HttpMatch(StrictModel):
    """A request must meet all conditions; without conditions, every request matches."""

    name: str | None = None
    uri: StringMatchField | None = None
    scheme: StringMatchField | None = None
    method: StringMatchField | None = None
    authority: StringMatchField | None = None
    headers: dict[HeaderName, HeaderMatchField] = Field(default_factory=dict)
    without_headers: dict[HeaderName, HeaderMatchField] = Field(default_factory=dict)
    query_params: dict[str, HeaderMatchField] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    port: Port | None = None
    gateways: tuple[str, ...] = ()
    source_labels: Annotated[Any, unsupported("matching the caller's labels", _MATCH_A_HEADER)] = (
        None
    )
    source_namespace: Annotated[
        Any, unsupported("matching the caller's namespace", _MATCH_A_HEADER)
    ] = None
    stat_prefix: Annotated[Any, unsupported("statPrefix", "remove it")] = None
