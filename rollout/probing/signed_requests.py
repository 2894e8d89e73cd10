"""Tokens of assertions: made when they are sent, by a key that lives as long as the test."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from ..routing.assertions import Assertion
from ..routing.requests import Request
from ..routing.tokens import TokenKey

_LIFETIME_SECONDS: Final = 3600
_LARGEST: Final = 2**255


def new_key() -> TokenKey:
    return TokenKey(secrets.randbelow(_LARGEST) + 1)


def issuers_of(assertions: Iterable[Assertion]) -> tuple[str, ...]:
    """Return the issuers of all tokens."""
    return tuple(dict.fromkeys(each.token.issuer for each in assertions if each.token))


def with_token(assertion: Assertion, key: TokenKey) -> Request:
    """Return the request with its token in the header ``authorization``."""
    spec = assertion.token
    if spec is None:
        return assertion.sent
    now = int(time.time())
    ends = now - 60 - _LIFETIME_SECONDS if spec.expired else now + _LIFETIME_SECONDS
    claims: dict[str, Any] = {
        "iss": spec.issuer,
        "sub": spec.subject,
        "iat": ends - _LIFETIME_SECONDS,
        "exp": ends,
        **({"aud": spec.audience} if spec.audience else {}),
        **spec.claims,
    }
    token = (new_key() if spec.forged else key).sign(claims)
    request = assertion.sent
    return replace(request, headers=(*request.headers, ("authorization", f"Bearer {token}")))
