"""RequestAuthentication: which issuers' tokens (JWT) a workload accepts.

https://istio.io/latest/docs/reference/config/security/request_authentication/
"""

from __future__ import annotations

import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration
from .metadata import IstioObject, TargetedSpec
from .names import HeaderName
from .strict_model import StrictModel

Text = Annotated[str, Field(min_length=1)]


def _check_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a URL of http or https', "write https://HOST/PATH"
        )
    return value


def _check_keys(value: str) -> str:
    try:
        parsed = json.loads(value) if value else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise field_error(
            Reason.BAD_VALUE, "the text is not a set of keys (JWKS)", "write it as JSON"
        )
    return value


class JwtHeader(StrictModel):
    name: Text
    prefix: str | None = None


class ClaimToHeader(StrictModel):
    header: HeaderName
    claim: Text


class JwtRule(StrictModel):
    issuer: Text | None = None
    audiences: tuple[Text, ...] = ()
    jwks_uri: Annotated[Text, Field(max_length=2048), AfterValidator(_check_uri)] | None = Field(
        default=None, validation_alias=AliasChoices("jwksUri", "jwks_uri")
    )
    jwks: Annotated[str, AfterValidator(_check_keys)] | None = None
    from_headers: tuple[JwtHeader, ...] = ()
    from_params: tuple[Text, ...] = ()
    from_cookies: tuple[Text, ...] = ()
    output_payload_to_header: str | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: bool = False
    timeout: Duration | None = None
    space_delimited_claims: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    presence: Literal["OPTIONAL", "REQUIRED"] | None = None

    @model_validator(mode="after")
    def _check_issuer(self) -> JwtRule:
        if self.issuer is None:
            raise field_error(Reason.MISSING_FIELD, "the rule has no issuer", "add it", ("issuer",))
        if self.jwks and self.jwks_uri:
            raise field_error(
                Reason.BAD_VALUE, "jwks and jwksUri exclude each other", "keep one", ("jwks",)
            )
        return self


class RequestAuthenticationSpec(TargetedSpec):
    """Requests without a token pass; only an AuthorizationPolicy can require a token."""

    jwt_rules: Annotated[tuple[JwtRule, ...], Field(max_length=4096)] = ()


class RequestAuthentication(IstioObject):
    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
