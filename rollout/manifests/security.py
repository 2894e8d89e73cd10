"""AuthorizationPolicy and PeerAuthentication of security.istio.io.

https://istio.io/latest/docs/reference/config/security/
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from .authorization_rules import AccessRule
from .field_errors import Reason, field_error
from .metadata import IstioObject, ProviderReference, TargetedSpec, WorkloadSelector
from .not_modelled import NotModelled
from .strict_model import StrictModel

#: What the authorizer behind action CUSTOM is never asked about.
_NOT_CUSTOM: Final = (
    "namespaces",
    "not_namespaces",
    "principals",
    "not_principals",
    "request_principals",
    "not_request_principals",
)


class AuthorizationPolicySpec(TargetedSpec):
    """Without rules a policy matches no request, so an ALLOW policy then denies all requests."""

    rules: Annotated[tuple[AccessRule, ...], Field(max_length=512)] = ()
    action: Annotated[
        Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"],
        NotModelled(
            "an external authorizer",
            "which requests it allows isn't checked",
            frozenset({"CUSTOM"}),
        ),
    ] = "ALLOW"
    provider: ProviderReference | None = None

    @model_validator(mode="after")
    def _check_action(self) -> AuthorizationPolicySpec:
        if self.action in {"DENY", "CUSTOM"} and not self.rules:
            raise field_error(
                Reason.MISSING_FIELD,
                f"a {self.action} policy without rules matches no request; Istio rejects it",
                "add rules, or rules: [{}] for every request",
                ("rules",),
            )
        if (self.action == "CUSTOM") != (self.provider is not None):
            raise field_error(
                Reason.BAD_VALUE if self.provider else Reason.MISSING_FIELD,
                "the action CUSTOM needs a provider, and only CUSTOM can have one",
                "set both, or neither",
                ("provider",),
            )
        return self

    @model_validator(mode="after")
    def _check_custom_rules(self) -> AuthorizationPolicySpec:
        for index, rule in enumerate(self.rules if self.action == "CUSTOM" else ()):
            sources = (each.source for each in rule.from_)
            keys = (each.key for each in rule.when)
            if any(getattr(source, name) for source in sources for name in _NOT_CUSTOM) or any(
                key in {"source.namespace", "source.principal"} or key.startswith("request.auth.")
                for key in keys
            ):
                raise field_error(
                    Reason.BAD_VALUE,
                    "rules of the action CUSTOM can't ask for the caller's identity",
                    "remove principals and namespaces; the provider gets them",
                    ("rules", index),
                )
        return self


class AuthorizationPolicy(IstioObject):
    """Which callers may send which requests to a workload."""

    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)


class Mtls(StrictModel):
    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"


class PeerAuthenticationSpec(StrictModel):
    selector: WorkloadSelector | None = None
    mtls: Mtls | None = None
    port_level_mtls: dict[str, Mtls] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_ports(self) -> PeerAuthenticationSpec:
        if self.port_level_mtls and not (self.selector and self.selector.match_labels):
            raise field_error(
                Reason.BAD_VALUE,
                "a policy for all pods can't have other modes for single ports",
                "add a selector with labels, or remove it",
                ("portLevelMtls",),
            )
        for port in self.port_level_mtls:
            if not port.isdecimal() or not 1 <= int(port) <= 65535:
                raise field_error(
                    Reason.BAD_VALUE,
                    f'"{port}" is not a port',
                    "write a number from 1 to 65535",
                    ("portLevelMtls", port),
                )
        return self


class PeerAuthentication(IstioObject):
    """Whether a workload requires mutual TLS of its callers."""

    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)
