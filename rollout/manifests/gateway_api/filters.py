"""Filters of the Gateway API's routes: changed headers, redirects, rewrites, mirrors, CORS.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from ..field_errors import Reason, field_error
from ..field_types import PercentInt, Port
from ..not_modelled import NotModelled
from ..strict_model import StrictModel
from .references import BackendReference, Name

_UNKNOWN: Final = "istiod refuses the whole route, so it answers nothing"


class HeaderValue(StrictModel):
    name: Name
    value: Annotated[str, Field(min_length=1)]


class HeaderModifier(StrictModel):
    set: tuple[HeaderValue, ...] = ()
    add: tuple[HeaderValue, ...] = ()
    remove: tuple[str, ...] = ()


class PathModifier(StrictModel):
    """A whole new path, or a new prefix in place of the matched one."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None

    @model_validator(mode="after")
    def _check_value(self) -> PathModifier:
        values = {
            "ReplaceFullPath": self.replace_full_path,
            "ReplacePrefixMatch": self.replace_prefix_match,
        }
        for kind, value in values.items():
            if (kind == self.type) != (value is not None):
                raise field_error(
                    Reason.BAD_VALUE,
                    f"the type is {self.type}, and {kind[0].lower()}{kind[1:]}"
                    f" is {'set' if value is not None else 'missing'}",
                    "set only the field of the type",
                )
        return self


class RequestRedirect(StrictModel):
    """The response redirects the caller; a part of the URL that is None stays as requested."""

    scheme: Literal["http", "https"] | None = None
    hostname: Name | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class UrlRewrite(StrictModel):
    hostname: Name | None = None
    path: PathModifier | None = None


class Fraction(StrictModel):
    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=1)] = 100


class RequestMirror(StrictModel):
    """Where copies of requests go; without a percentage or a fraction, of all requests."""

    backend_ref: BackendReference
    percent: PercentInt | None = None
    fraction: Fraction | None = None

    @property
    def percentage(self) -> float:
        """Return the percentage of the requests that are copied."""
        if self.fraction:
            return 100 * self.fraction.numerator / self.fraction.denominator
        return 100.0 if self.percent is None else float(self.percent)


class Cors(StrictModel):
    """``max_age`` is in seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Annotated[int, Field(ge=1)] = 5


class GrpcFilter(StrictModel):
    """One change of requests or responses; the field that ``type`` names is set."""

    type: Literal[
        "RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"
    ]
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_mirror: RequestMirror | None = None
    extension_ref: Annotated[Any, NotModelled("the filter ExtensionRef", _UNKNOWN)] = None

    @model_validator(mode="after")
    def _check_field(self) -> GrpcFilter:
        for name, field in type(self).model_fields.items():
            if name == "type":
                continue
            alias = field.alias or name
            wanted = alias.lower() == self.type.lower()
            if wanted != (getattr(self, name) is not None):
                raise field_error(
                    Reason.BAD_VALUE,
                    f"the type is {self.type}, and {alias} is {'missing' if wanted else 'set'}",
                    "set only the field of the type",
                )
        return self


class HttpFilter(GrpcFilter):
    """The same for an HTTPRoute, which has more filters."""

    type: Literal[  # type: ignore[assignment]
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "CORS",
        "ExtensionRef",
        "ExternalAuth",
    ]
    request_redirect: RequestRedirect | None = None
    url_rewrite: UrlRewrite | None = None
    cors: Cors | None = None
    external_auth: Annotated[Any, NotModelled("the filter ExternalAuth", _UNKNOWN)] = None
