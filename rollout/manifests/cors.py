"""Cross-origin requests, answered by the proxy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from .matches import Match
from .part import Part, unsupported
from .values import Duration

Method = Literal[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"
]


class CorsPolicy(Part):
    allow_origins: tuple[Match, ...] = ()
    allow_methods: tuple[Method, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"
    allow_origin: Annotated[
        Any, unsupported("allowOrigin is deprecated", "write allowOrigins: [{exact: …}]")
    ] = None
