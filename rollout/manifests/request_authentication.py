"""RequestAuthentication: whose tokens are believed."""

from __future__ import annotations

from pydantic import Field

from .metadata import IstioObject, PolicyTargetReference, WorkloadSelector
from .part import Part
from .values import Duration


class JwtHeader(Part):
    name: str
    prefix: str | None = None


class ClaimToHeader(Part):
    header: str
    claim: str


class JwtRule(Part):
    issuer: str
    audiences: tuple[str, ...] = ()
    jwks_uri: str | None = None
    jwks: str | None = None
    from_headers: tuple[JwtHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: bool = False
    timeout: Duration | None = None
    space_delimited_claims: tuple[str, ...] = ()


class RequestAuthenticationSpec(Part):
    """Alone it admits requests without a token; an AuthorizationPolicy demands one."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JwtRule, ...] = ()


class RequestAuthentication(IstioObject):
    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
