"""The kinds of security.istio.io: AuthorizationPolicy, PeerAuthentication, RequestAuthentication.

https://istio.io/latest/docs/reference/config/security/
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .field_types import Duration
from .metadata import IstioObject, PolicyTargetReference, WorkloadSelector
from .strict_model import StrictModel, unsupported


class Source(StrictModel):
    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(StrictModel):
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class Condition(StrictModel):
    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class RuleFrom(StrictModel):
    source: Source


class RuleTo(StrictModel):
    operation: Operation


class AccessRule(StrictModel):
    from_: tuple[RuleFrom, ...] = Field(default=(), alias="from")
    to: tuple[RuleTo, ...] = ()
    when: tuple[Condition, ...] = ()


class AuthorizationPolicySpec(StrictModel):
    """Without rules a policy matches no request, so an ALLOW policy then denies all requests."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[AccessRule, ...] = ()
    action: Literal["ALLOW", "DENY", "AUDIT"] = "ALLOW"
    provider: Annotated[
        Any, unsupported("a custom authorization provider", "use ALLOW or DENY with rules")
    ] = None


class AuthorizationPolicy(IstioObject):
    """Which callers may send which requests to a workload."""

    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)


class Mtls(StrictModel):
    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"


class PeerAuthenticationSpec(StrictModel):
    selector: WorkloadSelector | None = None
    mtls: Mtls | None = None
    port_level_mtls: dict[str, Mtls] = Field(default_factory=dict)


class PeerAuthentication(IstioObject):
    """Whether a workload requires mutual TLS of its callers."""

    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)


class JwtHeader(StrictModel):
    name: str
    prefix: str | None = None


class ClaimToHeader(StrictModel):
    header: str
    claim: str


class JwtRule(StrictModel):
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


class RequestAuthenticationSpec(StrictModel):
    """Requests without a token pass; only an AuthorizationPolicy can require a token."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JwtRule, ...] = ()


class RequestAuthentication(IstioObject):
    """Which issuers' tokens a workload accepts."""

    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
