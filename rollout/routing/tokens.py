"""Tokens (JWT) made on the spot, signed by a key of which the mesh gets the public half. Pure.

ES256: ECDSA on the curve P-256, https://www.rfc-editor.org/rfc/rfc7518#section-3.4
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..envoy.configuration import Objects

_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key: a number from 1 to the order of the curve; keep it random."""

    secret: int

    @property
    def jwks(self) -> str:
        """Return the public key as a set of keys."""
        point = _times(self.secret, _G)
        assert point is not None  # noqa: S101 - the secret is below the order
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "test"}
        x, y = (_text(each.to_bytes(32, "big")) for each in point)
        return json.dumps({"keys": [{**key, "x": x, "y": y}]})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token."""
        header = {"alg": "ES256", "typ": "JWT", "kid": "test"}
        signed = ".".join(_text(json.dumps(each).encode()) for each in (header, dict(claims)))
        digest = int.from_bytes(hashlib.sha256(signed.encode()).digest(), "big")
        # As in RFC 6979 in spirit: the nonce depends on the key and the message only.
        seed = hashlib.sha512(self.secret.to_bytes(32, "big") + signed.encode()).digest()
        nonce = int.from_bytes(seed, "big") % (_N - 1) + 1
        point = _times(nonce, _G)
        assert point is not None  # noqa: S101 - the nonce is below the order
        r = point[0] % _N
        s = pow(nonce, -1, _N) * (digest + r * self.secret) % _N
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def with_test_keys(objects: Objects, issuers: Iterable[str], jwks: str) -> Objects:
    """Return the objects with these keys in the rules of the issuers, in place of their own."""
    wanted = frozenset(issuers)
    if not wanted:
        return objects
    found = []
    for each in objects.request_authentications:
        rules = tuple(
            rule.model_copy(update={"jwks": jwks, "jwks_uri": None})
            if rule.issuer in wanted
            else rule
            for rule in each.spec.jwt_rules
        )
        spec = each.spec.model_copy(update={"jwt_rules": rules})
        found.append(each.model_copy(update={"spec": spec}))
    return replace(objects, request_authentications=tuple(found))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _add(one: _Point, other: _Point) -> _Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if one != other:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P) % _P
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _times(factor: int, point: _Point) -> _Point:
    found: _Point = None
    while factor:
        if factor & 1:
            found = _add(found, point)
        point = _add(point, point)
        factor >>= 1
    return found
