"""What of a mesh's policies a rehearsal does not test. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..envoy.request_policies import is_dry_run
from ..manifests.metadata import IstioObject
from ..manifests.request_authentication import RequestAuthentication
from ..manifests.security import AuthorizationPolicy, PeerAuthentication

_ADDRESS: Final = "all callers and pods have the address 127.0.0.1"
_PEERS: Final = (
    "all callers have a sidecar; connections are plaintext where no policy asks who calls"
)
_ADDRESSES: Final = {
    "ip_blocks": "ipBlocks",
    "not_ip_blocks": "notIpBlocks",
    "remote_ip_blocks": "remoteIpBlocks",
    "not_remote_ip_blocks": "notRemoteIpBlocks",
}
_OF_ADDRESSES: Final = frozenset({"source.ip", "remote.ip", "destination.ip"})


def policy_fields(manifest: IstioObject | None) -> Iterator[tuple[str, str]]:
    """Yield the paths in a policy that have no effect, each with why; none for another kind."""
    match manifest:
        case AuthorizationPolicy():
            yield from _authorization(manifest)
        case RequestAuthentication():
            yield from _tokens(manifest)
        case PeerAuthentication():
            yield "", _PEERS


def _authorization(policy: AuthorizationPolicy) -> Iterator[tuple[str, str]]:
    spec = policy.spec
    if is_dry_run(policy):
        yield "", "it is only tried (istio.io/dry-run), so it refuses no request"
        return
    if spec.action == "CUSTOM" and spec.provider:
        why = f"the authorizer {spec.provider.name} is not here, so every request is allowed"
        yield spec.json_path("action"), why
        return
    for each in spec.target_refs or ((spec.target_ref,) if spec.target_ref else ()):
        if each.kind != "Gateway":
            yield each.json_path(), "no waypoint runs here"
    for rule in spec.rules:
        for source in (each.source for each in rule.from_):
            for name, written in _ADDRESSES.items():
                if getattr(source, name):
                    yield source.json_path(written), _ADDRESS
        for condition in rule.when:
            if condition.key in _OF_ADDRESSES:
                yield condition.json_path(), _ADDRESS


def _tokens(policy: RequestAuthentication) -> Iterator[tuple[str, str]]:
    for rule in policy.spec.jwt_rules:
        if not rule.jwks:
            why = (
                f"its keys are not fetched, so every token of {rule.issuer} is refused (401);"
                f" --jwks {rule.jwks_uri or rule.issuer}=FILE gives them"
            )
            yield rule.json_path("jwksUri" if rule.jwks_uri else "issuer"), why
        if rule.presence == "REQUIRED":
            yield rule.json_path("presence"), "a request without a token passes"
