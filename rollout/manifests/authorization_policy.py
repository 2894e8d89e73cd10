"""AuthorizationPolicy: who may call whom."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .metadata import IstioObject, PolicyTargetReference, WorkloadSelector
from .part import Part, unsupported


class Source(Part):
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


class Operation(Part):
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class Condition(Part):
    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class RuleFrom(Part):
    source: Source


class RuleTo(Part):
    operation: Operation


class AccessRule(Part):
    from_: tuple[RuleFrom, ...] = Field(default=(), alias="from")
    to: tuple[RuleTo, ...] = ()
    when: tuple[Condition, ...] = ()


class AuthorizationPolicySpec(Part):
    """Without rules it matches nothing: as ALLOW it denies all."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[AccessRule, ...] = ()
    action: Literal["ALLOW", "DENY", "AUDIT"] = "ALLOW"
    provider: Annotated[
        Any, unsupported("an authorizer of its own", "use ALLOW and DENY with rules")
    ] = None


class AuthorizationPolicy(IstioObject):
    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)
