"""How Envoy answers cross-origin requests of browsers (Istio's CorsPolicy)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator

from .field_errors import Reason, field_error
from .field_types import Duration
from .names import CorsHeaderName
from .not_modelled import NotModelled
from .strict_model import StrictModel
from .string_match import OriginMatchField

Method = Literal[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"
]


def _check_whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds:
        raise field_error(
            Reason.BAD_DURATION, "maxAge is not a whole number of seconds", "round it"
        )
    return value


class CorsPolicy(StrictModel):
    allow_origins: tuple[OriginMatchField, ...] = ()
    allow_methods: tuple[Method, ...] = ()
    allow_headers: tuple[CorsHeaderName, ...] = ()
    expose_headers: tuple[CorsHeaderName, ...] = ()
    max_age: Annotated[Duration, AfterValidator(_check_whole_seconds)] | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"
    allow_origin: Annotated[
        tuple[str, ...],
        NotModelled("the deprecated field allowOrigin", "which origins may call isn't checked"),
    ] = ()
