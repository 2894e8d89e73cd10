"""RequestAuthentications as Envoy's filter for tokens (JWT), as istiod builds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..manifests.request_authentication import JwtRule, RequestAuthentication
from .authorization_matchers import PAYLOAD, TOKENS
from .configuration import Resource
from .protobuf_json import extension

_MESSAGE: Final = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
#: Claims whose value is a list of words.
_WORDS: Final = ("permission", "scope")
#: A key whose other half nobody has. istiod has such a key, too, for an issuer whose keys it can't
#: fetch: no token of that issuer is valid.
_NOBODYS_KEYS: Final = (
    '{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"nobody",'
    '"x":"5gvkM5PPlX1QNhrOFzmluOOYDpZ0TB1EcaxTFDNM09w","y":"tXJJy01ESz6OKlZ9bQ2Bw8WiKo9dP1uEDw77ZT7VHMY"}]}'
)


def token_filter(
    policies: Iterable[RequestAuthentication], *, clear_route_cache: bool
) -> list[Resource]:
    """Return the filter, or nothing without rules.

    A request without a token passes; one with an invalid token is answered 401.
    ``clear_route_cache`` chooses the route anew after a token was verified, as gateways do.
    """
    rules = sorted(
        (rule for each in policies for rule in each.spec.jwt_rules),
        key=lambda rule: rule.issuer or "",
    )
    if not rules:
        return []
    names = [f"origins-{index}" for index in range(len(rules))]
    providers = {
        name: _provider(rule, clear_route_cache=clear_route_cache)
        for name, rule in zip(names, rules, strict=True)
    }
    requires = [_valid_or_missing(each) for each in names]
    return [
        extension(
            TOKENS,
            _MESSAGE,
            providers=providers,
            rules=[{"match": {"prefix": "/"}, "requires": _all_of(names, requires)}],
            bypass_cors_preflight=True,
        )
    ]


def _all_of(names: list[str], requires: list[Resource]) -> Resource:
    """Return what a request needs: each token that it has is valid.

    Several issuers may look for their tokens in one place: there, one valid token is enough.
    """
    if len(requires) == 1:
        return requires[0]
    every = {"requires_all": {"requirements": requires}}
    return {"requires_any": {"requirements": [*({"provider_name": name} for name in names), every]}}


def _valid_or_missing(name: str) -> Resource:
    return {"requires_any": {"requirements": [{"provider_name": name}, {"allow_missing": {}}]}}


def _provider(rule: JwtRule, *, clear_route_cache: bool) -> Resource:
    listed = sorted({*_WORDS, *rule.space_delimited_claims})
    fields: dict[str, Any] = {
        "audiences": list(rule.audiences),
        "forward": rule.forward_original_token,
        "forward_payload_header": rule.output_payload_to_header,
        "claim_to_headers": [
            {"header_name": each.header, "claim_name": each.claim}
            for each in rule.output_claim_to_headers
        ],
        "from_headers": [
            {"name": each.name, **({"value_prefix": each.prefix} if each.prefix else {})}
            for each in rule.from_headers
        ],
        "from_params": list(rule.from_params),
        "from_cookies": list(rule.from_cookies),
        "clear_route_cache": clear_route_cache,
    }
    return {
        "issuer": rule.issuer,
        "local_jwks": {"inline_string": rule.jwks or _NOBODYS_KEYS},
        "payload_in_metadata": PAYLOAD,
        "normalize_payload_in_metadata": {"space_delimited_claims": listed},
        **{name: value for name, value in fields.items() if value},
    }
